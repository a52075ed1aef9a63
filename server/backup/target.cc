#include "server/backup/target.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/base/check.h"
#include "server/backup/folder_object_store.h"
#include "server/backup/object_key.h"
#include "server/backup/s3_address.h"
#include "server/backup/s3_object_store.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr std::string_view kS3Scheme = "s3://";
constexpr std::string_view kFileScheme = "file://";
constexpr std::string_view kEncryptions[] = {"AES256", "aws:kms", "aws:kms:dsse"};
constexpr size_t kPrefixMax = 512;  // bytes; the keys behind it need room, too
constexpr size_t kPathMax = 4000;
constexpr size_t kParameterMax = 2048;
// What a store with an endpoint of its own calls its region if nobody says otherwise.
constexpr char kRegionOfEndpoints[] = "us-east-1";

std::unexpected<Error> wrong(std::string_view target, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, std::string(target) + ": " + std::string(why));
}

bool is_bucket_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}
bool is_bucket(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, is_bucket_character) &&
         name[0] != '.' && name[0] != '-' && !name.contains("..");
}
bool is_region(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, is_bucket_character) &&
         !name.contains('.');
}

// Whether each part between slashes is a name.
bool has_odd_parts(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return true;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return false;
}

Status take_parameter(Target& target, std::string_view name, std::string value) {
  const std::string where = describe(target);
  if (!has_key_characters(value) || value.empty() || value.size() > kParameterMax)
    return wrong(where, std::string(name) + " has no value, or one with odd characters");
  std::string* field = name == "endpoint"  ? &target.endpoint
                       : name == "region"  ? &target.region
                       : name == "sse"     ? &target.sse
                       : name == "kms-key" ? &target.kms_key
                                           : nullptr;
  if (field == nullptr)
    return wrong(where,
                 "\"" + std::string(name) +
                     "\" is no parameter of an S3 target; there are endpoint, region, sse and kms-key");
  if (!field->empty()) return wrong(where, std::string(name) + " is given twice");
  if (field == &target.endpoint) {
    Result<std::string> endpoint = canonical_endpoint(value);
    if (!endpoint) return fail_within(where, endpoint.error());
    value = std::move(*endpoint);
  }
  if (field == &target.region && !is_region(value))
    return wrong(where, "\"" + value + "\" cannot be the name of a region");
  if (field == &target.sse && std::ranges::find(kEncryptions, value) == std::end(kEncryptions))
    return wrong(where, "sse is AES256, aws:kms or aws:kms:dsse, not \"" + value + "\"");
  *field = std::move(value);
  return {};
}

Status take_parameters(Target& target, std::string_view query) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = parameter.find('=');
    const std::string_view name = parameter.substr(0, equals);
    const auto value =
        uri_decode(equals == parameter.npos ? std::string_view() : parameter.substr(equals + 1));
    if (!value) return wrong(describe(target), "two hex digits must follow each %");
    TM_TRY(take_parameter(target, name, *value));
  }
  if (!target.kms_key.empty() && !target.sse.starts_with("aws:kms"))
    return wrong(describe(target), "kms-key is only for sse=aws:kms and sse=aws:kms:dsse");
  return {};
}

Result<Target> parse_s3(std::string_view rest) {
  if (rest.contains('#')) return wrong(kS3Scheme, "a # in the target must be written as %23");
  const size_t question = rest.find('?');
  const std::string_view place = rest.substr(0, question);
  const size_t slash = std::min(place.find('/'), place.size());
  Target target;
  target.kind = Target::Kind::kS3;
  target.bucket = place.substr(0, slash);
  // Not repeated: what stands there may be a password.
  if (target.bucket.contains('@') || target.bucket.contains(':'))
    return wrong(kS3Scheme,
                 "a target names the bucket only; credentials come from the environment or the files of "
                 "AWS, the server from ?endpoint=");
  if (!is_bucket(target.bucket))
    return wrong(std::string(kS3Scheme) + target.bucket,
                 "a bucket's name has 3 to 63 letters, digits, dashes, dots or underscores");
  const std::optional<std::string> prefix = uri_decode(place.substr(std::min(slash + 1, place.size())));
  if (!prefix) return wrong(std::string(kS3Scheme) + target.bucket, "two hex digits must follow each %");
  if (!has_key_characters(*prefix) || prefix->size() > kPrefixMax || has_odd_parts(*prefix))
    return wrong(std::string(kS3Scheme) + target.bucket,
                 "a prefix has up to 512 bytes of ASCII, without empty parts, \".\" and \"..\"");
  target.prefix = *prefix;
  if (!prefix->empty() && !prefix->ends_with('/')) {
    target.prefix += '/';
    std::string query(question == rest.npos ? std::string_view() : rest.substr(question));
    if (query.contains('@')) query = "?...";  // may be a password, in the wrong place
    return wrong(std::string(kS3Scheme) + target.bucket + "/" + uri_encode(*prefix, true),
                 "a prefix ends in a slash; write " + describe(target) + query);
  }
  if (question != rest.npos) TM_TRY(take_parameters(target, rest.substr(question + 1)));
  return target;
}

Result<Target> parse_folder(std::string_view rest) {
  if (!rest.starts_with('/'))
    return wrong(kFileScheme,
                 "a folder is written with its absolute path, as in file:///var/backups/tidemark/");
  if (rest.find_first_of("?#") != rest.npos)
    return wrong(kFileScheme, "a folder takes no parameters; a ? or # in its path is written as %3F or %23");
  std::optional<std::string> path = uri_decode(rest);
  if (!path) return wrong(kFileScheme, "two hex digits must follow each %");
  if (path->ends_with('/')) path->pop_back();
  if (path->empty()) return wrong(kFileScheme, "the path names no folder");
  if (path->contains('\0') || path->size() > kPathMax || has_odd_parts(std::string_view(*path).substr(1)))
    return wrong(kFileScheme, "a path has no empty parts, no \".\" and no \"..\"");
  Target target;
  target.kind = Target::Kind::kFolder;
  target.path = std::move(*path);
  return target;
}

// AWS's way to say where, in the order of what is nearest.
Result<std::string> region_of(const Target& target, const StoreContext& context) {
  if (!target.region.empty()) return target.region;
  TM_ASSIGN(const std::optional<std::string> region, aws_region(context.environment, context.files));
  if (region) return *region;
  if (!target.endpoint.empty()) return kRegionOfEndpoints;
  return wrong(describe(target), "the bucket's region is not known; add ?region=..., or set AWS_REGION");
}

}  // namespace

Result<Target> parse_target(std::string_view url) {
  if (url.starts_with(kS3Scheme)) return parse_s3(url.substr(kS3Scheme.size()));
  if (url.starts_with(kFileScheme)) return parse_folder(url.substr(kFileScheme.size()));
  return fail(
      ErrorCode::kInvalidArgument,
      "a backup target begins with s3:// or file://, as in s3://bucket/tidemark/ or file:///mnt/backups/");
}

std::string describe(const Target& target) {
  if (target.kind == Target::Kind::kFolder)
    return std::string(kFileScheme) + uri_encode(target.path, true) + "/";
  return std::string(kS3Scheme) + target.bucket + "/" + uri_encode(target.prefix, true);
}

std::string target_url(const Target& target) {
  std::string url = describe(target);
  char before = '?';
  for (const auto& [name, value] :
       {std::pair("endpoint", &target.endpoint), std::pair("region", &target.region),
        std::pair("sse", &target.sse), std::pair("kms-key", &target.kms_key)}) {
    if (value->empty()) continue;
    url += before + std::string(name) + "=";
    // As people write it: a colon and a slash need no % here.
    for (const char c : *value) url += c == ':' || c == '/' ? std::string(1, c) : uri_encode({&c, 1}, false);
    before = '&';
  }
  return url;
}

std::optional<ParentFolder> parent_folder(const Target& target) {
  ParentFolder out{target, {}};
  const bool s3 = target.kind == Target::Kind::kS3;
  std::string& folder = s3 ? out.target.prefix : out.target.path;
  if (s3 && !folder.empty()) folder.pop_back();
  const size_t slash = folder.rfind('/');
  out.name = folder.substr(slash == std::string::npos ? 0 : slash + 1);
  if (out.name.empty() || (!s3 && slash == 0)) return std::nullopt;
  folder.resize(s3 && slash != std::string::npos ? slash + 1 : slash == std::string::npos ? 0 : slash);
  return out;
}

Result<std::unique_ptr<ObjectStore>> make_object_store(const Target& target, const StoreContext& context) {
  TM_CHECK(target.kind == Target::Kind::kFolder || context.environment);
  std::unique_ptr<ObjectStore> store;
  if (target.kind == Target::Kind::kFolder) {
    store = make_folder_object_store(target.path, context.files);
  } else {
    S3Options options{target.bucket, target.prefix, target.endpoint, {}, target.sse, target.kms_key, {}};
    TM_ASSIGN(options.region, region_of(target, context));
    options.ca_file = context.environment("AWS_CA_BUNDLE").value_or("");
    auto credentials = aws_credentials(context.environment, context.files, context.clock);
    if (!credentials) return fail_within(describe(target), credentials.error());
    TM_ASSIGN(store, make_s3_object_store(std::move(options), std::move(*credentials), context.clock));
  }
  return make_retrying_object_store(std::move(store), context.clock, context.retry, context.log);
}

}  // namespace tidemark::backup
