#include "server/connect/metadata.h"

#include <algorithm>
#include <boost/json.hpp>

#include "engine/base/mutant.h"

namespace tidemark::connect {
namespace {

constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxAuthorityChars = 255 + 6;  // a DNS name, a colon, a port

std::unexpected<Error> refuse(std::string_view what) {
  return fail(ErrorCode::kInvalidArgument, "The metadata exchange request is invalid: " + std::string(what));
}

}  // namespace

Result<std::vector<int64_t>> parse_metadata_request(std::string_view body) {
  std::vector<int64_t> versions = {1};
  if (body.empty()) return versions;

  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::error_code error;
  const boost::json::value json = boost::json::parse({body.data(), body.size()}, error, {}, options);
  if (error && TM_MUTANT("metadata.json")) return versions;
  if (error) return refuse("it is not JSON (" + error.message() + ").");
  const boost::json::object* object = json.if_object();
  if (object == nullptr) return refuse("it is not a JSON object.");
  const boost::json::value* field = object->if_contains("supportedVersions");
  if (field == nullptr) return versions;
  const boost::json::array* list = field->if_array();
  if (list == nullptr) return refuse("supportedVersions is not an array.");

  versions.clear();
  for (const boost::json::value& one : *list) {
    if (const int64_t* number = one.if_int64()) {
      versions.push_back(*number);
    } else if (one.if_uint64() == nullptr) {  // a huge number is merely a version that we do not know
      return refuse("supportedVersions holds something else than whole numbers.");
    }
  }
  return versions;
}

std::string format_metadata(const Metadata& metadata) {
  // Exactly the fields of the protocol: @deno/kv refuses answers with others.
  boost::json::array endpoints = {
      boost::json::object{{"url", metadata.endpoint_url}, {"consistency", "strong"}}};
  for (const std::string& url : metadata.eventual_urls)
    endpoints.push_back(boost::json::object{{"url", url}, {"consistency", "eventual"}});
  const boost::json::object answer = {
      {"version", metadata.version->number},
      {TM_MUTANT("metadata.fields") ? "uuid" : "databaseId", metadata.database_id},
      {"token", metadata.token},
      {"expiresAt", format_time(metadata.expires_at_ms)},
      {"endpoints", std::move(endpoints)}};
  return boost::json::serialize(answer);
}

bool is_plain_authority(std::string_view host) {
  return !host.empty() && host.size() <= kMaxAuthorityChars && std::ranges::all_of(host, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
}

}  // namespace tidemark::connect
