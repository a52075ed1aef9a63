// Each operation is one request, but for listings: a store may answer with fewer keys than there are, even
// with none, and says how to go on.
//
// What a store lists is checked: a listing out of order or of other keys than asked for would make the reader
// miss objects without a word.
#include "server/backup/s3_object_store.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "server/backup/object_key.h"
#include "server/backup/s3_address.h"
#include "server/backup/s3_failure.h"
#include "server/backup/s3_signature.h"
#include "server/backup/s3_xml.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr int kPageKeysMax = 1000;
// A thousand keys of the longest kind, each byte as %XX, and what else is said of them.
constexpr uint64_t kListingMax = 16 << 20;
constexpr uint64_t kPlainAnswerMax = 1 << 20;  // of answers whose body nobody reads

constexpr char kRegionCharacters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

struct Call {
  std::string_view what;  // "put", for the sentence
  std::string method;
  std::string key;     // whole; empty: the bucket itself
  std::string prefix;  // of what is listed
  NamesAndValues query = {};
  NamesAndValues headers = {};
  std::string_view body = {};
  bool has_body = false;
  uint64_t answer_max = kPlainAnswerMax;
  bool needs_length = false;
};

class S3ObjectStore final : public ObjectStore {
 public:
  S3ObjectStore(S3Options options, S3Address address, std::unique_ptr<CredentialsProvider> credentials,
                Clock& clock)
      : options_(std::move(options)),
        address_(std::move(address)),
        credentials_(std::move(credentials)),
        clock_(clock),
        client_(options_.limits, options_.ca_file) {}

  Result<std::string> put(std::string_view key, std::string_view bytes,
                          const PutCondition& condition) override {
    TM_ASSIGN(std::string whole, whole_key(key));
    Call call{"put", "PUT", std::move(whole), {}};
    call.body = bytes;
    call.has_body = true;
    if (!options_.encryption.empty())
      call.headers.emplace_back("x-amz-server-side-encryption", options_.encryption);
    if (!options_.kms_key_id.empty())
      call.headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", options_.kms_key_id);
    if (condition.kind == PutCondition::Kind::kAbsent) call.headers.emplace_back("if-none-match", "*");
    // A store that gives no tags knows no conditions.
    if (condition.kind == PutCondition::Kind::kUnchanged && !condition.tag.empty())
      call.headers.emplace_back("if-match", condition.tag);

    Result<HttpAnswer> answer = perform(call, {200, 201, 204});
    // The object that was to be unchanged is gone.
    if (!answer && answer.error().code == ErrorCode::kNotFound &&
        condition.kind == PutCondition::Kind::kUnchanged)
      return fail(ErrorCode::kConflict, std::move(answer.error().message));
    if (!answer) return std::unexpected(std::move(answer).error());
    return std::string(answer->header("etag"));
  }

  Result<std::optional<Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                               uint64_t max_bytes) override {
    TM_ASSIGN(std::string whole, whole_key(key));
    Call call{"get", "GET", std::move(whole), {}};
    if (!known_tag.empty()) call.headers.emplace_back("if-none-match", known_tag);
    call.answer_max = max_bytes;
    call.needs_length = true;
    TM_ASSIGN(HttpAnswer answer, perform(call, {200, 304}));
    if (answer.status == 304 && known_tag.empty())
      return fail(ErrorCode::kCorruption, name(call) + ": the store says that nothing has changed, unasked");
    std::string tag(answer.header("etag"));
    if (answer.status == 304 || (!known_tag.empty() && tag == known_tag)) return std::nullopt;
    return Object{std::move(answer.body), std::move(tag)};
  }

  Result<ObjectPage> list(std::string_view prefix, std::string_view start_after, int max_keys) override {
    TM_TRY(check_listed(prefix));
    TM_TRY(check_listed(start_after));
    const std::string whole_prefix = options_.prefix + std::string(prefix);
    std::string last;
    if (!start_after.empty()) last = options_.prefix + std::string(start_after);

    ObjectPage page;
    std::string continuation;
    do {
      NamesAndValues more = {{"max-keys", std::to_string(std::clamp(max_keys, 1, kPageKeysMax))}};
      if (continuation.empty() && !last.empty()) more.emplace_back("start-after", last);
      TM_ASSIGN(S3Listing listing, list_once(whole_prefix, std::move(more), continuation));
      for (ObjectInfo& info : listing.objects) {
        if (!info.key.starts_with(whole_prefix) || info.key <= last)
          return fail(ErrorCode::kCorruption, "list s3://" + options_.bucket + "/" + whole_prefix +
                                                  ": the store lists " + info.key +
                                                  ", which does not belong there, or not in this order");
        last = info.key;
        info.key.erase(0, options_.prefix.size());
      }
      page = {std::move(listing.objects), listing.truncated};
      continuation = std::move(listing.continuation);
    } while (page.objects.empty() && page.more);
    return page;
  }

  Result<std::vector<std::string>> list_folders(std::string_view prefix) override {
    TM_TRY(check_listed(prefix));
    const std::string whole_prefix = options_.prefix + std::string(prefix);
    std::vector<std::string> names;
    std::string continuation;
    bool more;
    do {
      TM_ASSIGN(S3Listing listing, list_once(whole_prefix, {{"delimiter", "/"}}, continuation));
      for (const std::string& folder : listing.folders) {
        if (!folder.starts_with(whole_prefix) || !folder.ends_with('/'))
          return fail(ErrorCode::kCorruption, "list s3://" + options_.bucket + "/" + whole_prefix +
                                                  ": the store lists the folder " + folder +
                                                  ", which does not belong there");
        names.push_back(folder.substr(whole_prefix.size(), folder.size() - whole_prefix.size() - 1));
      }
      more = listing.truncated;
      continuation = std::move(listing.continuation);
    } while (more);
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    return names;
  }

  Status remove(std::string_view key) override {
    TM_ASSIGN(std::string whole, whole_key(key));
    const Result<HttpAnswer> answer = perform({"remove", "DELETE", std::move(whole), {}}, {200, 204});
    if (!answer && answer.error().code != ErrorCode::kNotFound) return std::unexpected(answer.error());
    return {};
  }

  void cancel() override { client_.cancel(); }
  std::string describe() const override {
    std::string where = "s3://" + options_.bucket + "/" + options_.prefix;
    where.pop_back();  // the slash
    return where;
  }

 private:
  Result<std::string> whole_key(std::string_view key) const {
    if (key.empty()) return fail(ErrorCode::kInvalidArgument, describe() + ": a key without any bytes");
    std::string whole = options_.prefix + std::string(key);
    if (Status fine = check_object_key(whole); !fine) return fail_within(describe(), fine.error());
    return whole;
  }
  Status check_listed(std::string_view text) const {
    if (has_key_characters(text)) return {};
    return fail(ErrorCode::kInvalidArgument, "list " + describe() + ": no key can begin so");
  }
  std::string name(const Call& call) const {
    return std::string(call.what) + " s3://" + options_.bucket + "/" + call.key + call.prefix;
  }

  // One page. Whoever goes on does so until the store says that it was all.
  Result<S3Listing> list_once(const std::string& prefix, NamesAndValues more,
                              const std::string& continuation) {
    Call call{"list", "GET", {}, prefix};
    call.query = std::move(more);
    call.query.emplace_back("list-type", "2");
    call.query.emplace_back("encoding-type", "url");
    call.query.emplace_back("prefix", prefix);
    if (!continuation.empty()) call.query.emplace_back("continuation-token", continuation);
    call.answer_max = kListingMax;
    TM_ASSIGN(const HttpAnswer answer, perform(call, {200}));
    const std::string what = name(call);
    Result<S3Listing> listing = parse_s3_listing(answer.body);
    if (!listing) return fail_within(what, listing.error());
    const bool stuck = listing->continuation.empty() || listing->continuation == continuation;
    if (listing->truncated && stuck)
      return fail(ErrorCode::kCorruption, what + ": the store says that there is more, but not how to go on");
    return listing;
  }

  HttpRequest signed_request(const Call& call, const Credentials& credentials, int64_t wall_ms) const {
    UnsignedRequest to_sign{call.method, address_.path + call.key, call.query, call.headers,
                            sha256_hex(call.body)};
    to_sign.headers.emplace_back("host", address_.host);
    HttpRequest request{call.method, address_.origin + uri_encode(to_sign.path, true), {}, call.body};
    if (!call.query.empty()) request.url += "?" + encode_query(call.query);
    NamesAndValues added = sign(to_sign, credentials, options_.region, wall_ms);
    request.headers = std::move(to_sign.headers);
    std::ranges::move(added, std::back_inserter(request.headers));
    request.has_body = call.has_body;
    request.answer_max = call.answer_max;
    request.needs_length = call.needs_length;
    return request;
  }

  // The answer if its status is one of those.
  Result<HttpAnswer> perform(const Call& call, std::initializer_list<int> fine) {
    for (bool renewed = false;; renewed = true) {
      const Credentials credentials = credentials_->get();
      const int64_t wall_ms = clock_.wall_us() / 1000;
      Result<HttpAnswer> answer = client_.perform(signed_request(call, credentials, wall_ms));
      if (!answer) return fail_within(name(call), answer.error());
      if (answer->too_long)
        return fail(call.key.empty() ? ErrorCode::kCorruption : ErrorCode::kInvalidArgument,
                    name(call) + ": more than the " + std::to_string(call.answer_max) +
                        " bytes that were asked for at most");
      if (std::ranges::find(fine, answer->status) != fine.end()) return answer;

      S3Failure failure =
          s3_failure({name(call), options_.bucket, options_.region, address_.origin, wall_ms}, *answer);
      if (!failure.renew || renewed) return std::unexpected(std::move(failure.error));
      const Result<bool> others = credentials_->renew(credentials);
      if (!others) failure.error.message += "; " + others.error().message;
      if (!others || !*others) return std::unexpected(std::move(failure.error));
    }
  }

  const S3Options options_;
  const S3Address address_;
  const std::unique_ptr<CredentialsProvider> credentials_;
  Clock& clock_;
  HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> make_s3_object_store(S3Options options,
                                                          std::unique_ptr<CredentialsProvider> credentials,
                                                          Clock& clock) {
  if (options.bucket.empty()) return fail(ErrorCode::kInvalidArgument, "no bucket is named");
  if (options.region.empty())
    return fail(ErrorCode::kInvalidArgument, "the region of the bucket " + options.bucket + " is not named");
  // It becomes a part of a host's name.
  if (options.region.find_first_not_of(kRegionCharacters) != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "a region with odd characters: " + options.region);
  TM_ASSIGN(S3Address address, s3_address(options.bucket, options.endpoint, options.region));
  return std::make_unique<S3ObjectStore>(std::move(options), std::move(address), std::move(credentials),
                                         clock);
}

}  // namespace tidemark::backup
