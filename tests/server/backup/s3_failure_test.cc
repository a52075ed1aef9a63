#include "server/backup/s3_failure.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::backup {
namespace {

const S3Question kQuestion = {"put s3://bucket/key", "bucket", "us-east-1",
                              "https://bucket.s3.us-east-1.amazonaws.com", 1'700'000'000'000};

HttpAnswer answer(int status, std::string_view code, std::string_view more = "") {
  HttpAnswer out;
  out.status = status;
  out.body = "<?xml version=\"1.0\"?><Error><Code>" + std::string(code) +
             "</Code><Message>Some words.</Message>" + std::string(more) + "</Error>";
  return out;
}

void expect(const HttpAnswer& answer, ErrorCode code, bool renew, std::string_view part) {
  const S3Failure failure = s3_failure(kQuestion, answer);
  EXPECT_EQ(failure.error.code, code) << failure.error.message;
  EXPECT_EQ(failure.renew, renew) << failure.error.message;
  EXPECT_TRUE(failure.error.message.starts_with("put s3://bucket/key: ")) << failure.error.message;
  EXPECT_NE(failure.error.message.find(part), std::string::npos) << failure.error.message;
}

TEST(S3Failure, Credentials) {
  expect(answer(403, "AccessDenied"), ErrorCode::kDenied, true,
         "in the bucket bucket; the store says AccessDenied: Some words");
  expect(answer(403, "InvalidAccessKeyId"), ErrorCode::kDenied, true, "does not know this access key id");
  expect(answer(403, "SignatureDoesNotMatch"), ErrorCode::kDenied, true, "secret access key");
  expect(answer(400, "ExpiredToken"), ErrorCode::kDenied, true, "has expired");
  expect(answer(403, "SomethingNew"), ErrorCode::kDenied, true, "the store says SomethingNew: Some words");
}

TEST(S3Failure, Clock) {
  HttpAnswer skewed = answer(403, "RequestTimeTooSkewed", "<ServerTime>2023-11-14T23:13:20Z</ServerTime>");
  expect(skewed, ErrorCode::kDenied, false,
         "this machine's clock says 2023-11-14T22:13:20.000Z, the store's 2023-11-14T23:13:20Z");
  skewed = answer(403, "RequestTimeTooSkewed");
  skewed.headers.emplace_back("date", "Tue, 14 Nov 2023 23:13:20 GMT");
  expect(skewed, ErrorCode::kDenied, false, "the store's Tue, 14 Nov 2023 23:13:20 GMT");
}

TEST(S3Failure, Region) {
  HttpAnswer moved = answer(301, "PermanentRedirect", "<Endpoint>bucket.s3.amazonaws.com</Endpoint>");
  expect(moved, ErrorCode::kDenied, false, "ask at bucket.s3.amazonaws.com");
  moved.headers.emplace_back("x-amz-bucket-region", "eu-west-1");
  expect(moved, ErrorCode::kDenied, false, "is in the region eu-west-1, not in us-east-1");
  expect(answer(400, "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"), ErrorCode::kDenied,
         false, "is in the region eu-north-1");
  expect(answer(400, "AuthorizationHeaderMalformed"), ErrorCode::kDenied, false, "Some words");
  HttpAnswer elsewhere;
  elsewhere.status = 302;
  elsewhere.headers.emplace_back("location", "https://login.example.com/");
  expect(elsewhere, ErrorCode::kDenied, false, "mend the endpoint or the region");
}

TEST(S3Failure, WhatIsMissing) {
  expect(answer(404, "NoSuchBucket"), ErrorCode::kDenied, false, "there is no bucket bucket there");
  expect(answer(404, "NoSuchKey"), ErrorCode::kNotFound, false, "NoSuchKey");
  // No S3 has said this.
  HttpAnswer page;
  page.status = 404;
  page.body = "<html><body>404</body></html>";
  expect(page, ErrorCode::kDenied, false, "does not seem to be a store that speaks S3 (status 404)");
}

TEST(S3Failure, Later) {
  for (const int status : {500, 502, 503, 504, 507, 429, 408}) {
    HttpAnswer plain;
    plain.status = status;
    expect(plain, ErrorCode::kUnavailable, false, "status " + std::to_string(status));
  }
  expect(answer(503, "SlowDown"), ErrorCode::kUnavailable, false, "SlowDown");
  expect(answer(400, "RequestTimeout"), ErrorCode::kUnavailable, false, "RequestTimeout");
  expect(answer(409, "ConditionalRequestConflict"), ErrorCode::kUnavailable, false, "Conditional");
  expect(answer(409, "OperationAborted"), ErrorCode::kUnavailable, false, "OperationAborted");
  expect(answer(400, "XAmzContentSHA256Mismatch"), ErrorCode::kUnavailable, false, "damaged");
}

TEST(S3Failure, TheRest) {
  expect(answer(412, "PreconditionFailed"), ErrorCode::kConflict, false, "PreconditionFailed");
  HttpAnswer plain;
  plain.status = 412;
  expect(plain, ErrorCode::kConflict, false, "412");
  expect(answer(501, "NotImplemented"), ErrorCode::kInvalidArgument, false, "NotImplemented");
  expect(answer(400, "InvalidArgument"), ErrorCode::kInvalidArgument, false, "InvalidArgument");
  expect(answer(400, "EntityTooLarge"), ErrorCode::kInvalidArgument, false, "EntityTooLarge");
  plain.status = 403;
  expect(plain, ErrorCode::kDenied, true, "access is refused (status 403)");
  plain.status = 206;
  expect(plain, ErrorCode::kCorruption, false, "206");
}

}  // namespace
}  // namespace tidemark::backup
