// The code in the error's XML counts first, then the status. What does not look as if S3 had said it (a page
// of a proxy, a web server at the wrong port) is told apart, for a plain 404 must not be read as "no such
// object".
#include "server/backup/s3_failure.h"

#include <algorithm>
#include <optional>

#include "engine/base/time_text.h"
#include "server/backup/s3_xml.h"

namespace tidemark::backup {
namespace {

// What to do about each code of S3's that calls for something else than its status. "%b": the bucket.
struct Meaning {
  std::string_view code;
  ErrorCode kind;
  bool renew;
  std::string_view advice;  // empty: nothing to add to the store's own words
};
constexpr Meaning kMeanings[] = {
    {"AccessDenied", ErrorCode::kDenied, true, "give this access key the right to do that in the bucket %b"},
    {"AccountProblem", ErrorCode::kDenied, false, "something is wrong with the account"},
    {"AllAccessDisabled", ErrorCode::kDenied, false, "the bucket %b is closed to everybody"},
    {"BadDigest", ErrorCode::kUnavailable, false, "the bytes were damaged on their way"},
    {"ConditionalRequestConflict", ErrorCode::kUnavailable, false, ""},
    {"ExpiredToken", ErrorCode::kDenied, true, "the session token has expired; give new credentials"},
    {"IncompleteBody", ErrorCode::kUnavailable, false, ""},
    {"InvalidAccessKeyId", ErrorCode::kDenied, true, "the store does not know this access key id"},
    {"InvalidBucketName", ErrorCode::kDenied, false, "no bucket can be called %b"},
    {"InvalidObjectState", ErrorCode::kDenied, false,
     "the object lies in an archive; restore it there first"},
    {"InvalidToken", ErrorCode::kDenied, true, "the session token is not valid; give new credentials"},
    {"KMS.DisabledException", ErrorCode::kDenied, false, "the key for encryption is disabled"},
    {"KMS.NotFoundException", ErrorCode::kDenied, false, "there is no such key for encryption"},
    {"NoSuchBucket", ErrorCode::kDenied, false, "there is no bucket %b there; make it, or mend its name"},
    {"NoSuchKey", ErrorCode::kNotFound, false, ""},
    {"OperationAborted", ErrorCode::kUnavailable, false, ""},
    {"PreconditionFailed", ErrorCode::kConflict, false, ""},
    {"RequestTimeout", ErrorCode::kUnavailable, false, ""},
    {"SignatureDoesNotMatch", ErrorCode::kDenied, true,
     "the secret access key does not go with the access key id"},
    {"SlowDown", ErrorCode::kUnavailable, false, ""},
    {"TokenRefreshRequired", ErrorCode::kDenied, true, "the session token must be renewed"},
    {"XAmzContentSHA256Mismatch", ErrorCode::kUnavailable, false, "the bytes were damaged on their way"},
};

ErrorCode kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return ErrorCode::kDenied;
    case 408:
    case 429:
      return ErrorCode::kUnavailable;
    case 412:
      return ErrorCode::kConflict;
    case 501:
    case 505:
      return ErrorCode::kInvalidArgument;
    default:
      break;
  }
  if (status >= 500) return ErrorCode::kUnavailable;
  if (status >= 400) return ErrorCode::kInvalidArgument;
  return ErrorCode::kCorruption;  // a success of some other kind than there can be
}

std::string with_bucket(std::string_view advice, std::string_view bucket) {
  std::string out(advice);
  if (const size_t at = out.find("%b"); at != out.npos) out.replace(at, 2, bucket);
  return out;
}

// What stands between the words of a sentence must not end it.
std::string without_stop(std::string text) {
  while (text.ends_with('.') || text.ends_with(' ') || text.ends_with('\n')) text.pop_back();
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

bool is_about_region(const HttpAnswer& answer, const std::optional<S3Error>& error) {
  if (answer.status >= 300 && answer.status < 400) return true;
  return error && (error->code == "AuthorizationHeaderMalformed" ||
                   error->code == "IllegalLocationConstraintException");
}

Error wrong_region(const S3Question& question, const HttpAnswer& answer,
                   const std::optional<S3Error>& error) {
  std::string region(answer.header("x-amz-bucket-region"));
  if (region.empty() && error) region = error->region;
  std::string message = question.what + ": ";
  if (!region.empty() && region != question.region) {
    message += "the bucket " + question.bucket + " is in the region " + region + ", not in " +
               question.region + "; give that region";
  } else if (error && !error->endpoint.empty()) {
    message +=
        "the store says to ask at " + without_stop(error->endpoint) + "; mend the endpoint or the region";
  } else {
    message += question.origin + " refers to another place (status " + std::to_string(answer.status) +
               "); mend the endpoint or the region";
    if (error) message += ": " + without_stop(error->message);
  }
  return {ErrorCode::kDenied, std::move(message)};
}

Error skewed_clock(const S3Question& question, const HttpAnswer& answer, const S3Error& error) {
  const std::string theirs =
      error.server_time.empty() ? std::string(answer.header("date")) : error.server_time;
  return {ErrorCode::kDenied, question.what + ": this machine's clock says " + format_time(question.wall_ms) +
                                  ", the store's " + (theirs.empty() ? "something else" : theirs) +
                                  "; set the clock that is wrong"};
}

}  // namespace

S3Failure s3_failure(const S3Question& question, const HttpAnswer& answer) {
  const std::optional<S3Error> error = parse_s3_error(answer.body);
  if (error && error->code == "RequestTimeTooSkewed") return {skewed_clock(question, answer, *error)};
  if (is_about_region(answer, error)) return {wrong_region(question, answer, error)};
  const std::string status = "status " + std::to_string(answer.status);

  if (!error) {
    const ErrorCode kind = kind_of_status(answer.status);
    if (answer.status == 404 || answer.status == 405)
      return {{ErrorCode::kDenied, question.what + ": what answers at " + question.origin +
                                       " does not seem to be a store that speaks S3 (" + status +
                                       "); mend the endpoint"}};
    const std::string_view why = kind == ErrorCode::kDenied        ? "access is refused"
                                 : kind == ErrorCode::kUnavailable ? "the store is overloaded or broken"
                                                                   : "the store answers without a reason";
    return {{kind, question.what + ": " + std::string(why) + " (" + status + ")"},
            kind == ErrorCode::kDenied};
  }

  const auto* const meaning = std::ranges::find(kMeanings, error->code, &Meaning::code);
  const bool known = meaning != std::end(kMeanings);
  S3Failure failure{{known ? meaning->kind : kind_of_status(answer.status), question.what + ": "},
                    known ? meaning->renew : answer.status == 403};
  if (known && !meaning->advice.empty())
    failure.error.message += with_bucket(meaning->advice, question.bucket) + "; ";
  const std::string words = without_stop(error->message);
  failure.error.message += "the store says " + error->code + (words.empty() ? "" : ": " + words);
  return failure;
}

}  // namespace tidemark::backup
