// The examples of "Authenticating Requests: Using the Authorization Header" in Amazon's reference of S3.
#include "server/backup/s3_signature.h"

#include <gtest/gtest.h>

#include <string>

#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

const Credentials kCredentials = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr int64_t kTimeMs = 1'369'353'600'000;  // 2013-05-24T00:00:00Z
constexpr char kHost[] = "examplebucket.s3.amazonaws.com";

std::string authorization(const UnsignedRequest& request, const Credentials& credentials = kCredentials) {
  for (const auto& [name, value] : sign(request, credentials, "us-east-1", kTimeMs))
    if (name == "Authorization") return value;
  return "none";
}

std::string expected(std::string_view names, std::string_view signature) {
  return "AWS4-HMAC-SHA256 "
         "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
         std::string(names) + ",Signature=" + std::string(signature);
}

TEST(S3Signature, GetObject) {
  EXPECT_EQ(
      authorization({"GET", "/test.txt", {}, {{"Host", kHost}, {"Range", "bytes=0-9"}}, sha256_hex("")}),
      expected("host;range;x-amz-content-sha256;x-amz-date",
               "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

TEST(S3Signature, PutObject) {
  EXPECT_EQ(authorization({"PUT",
                           "/test$file.text",
                           {},
                           {{"Host", kHost},
                            {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                           sha256_hex("Welcome to Amazon S3.")}),
            expected("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(S3Signature, ParameterWithoutValue) {
  EXPECT_EQ(authorization({"GET", "/", {{"lifecycle", ""}}, {{"Host", kHost}}, sha256_hex("")}),
            expected("host;x-amz-content-sha256;x-amz-date",
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(S3Signature, ListObjects) {
  EXPECT_EQ(
      authorization({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {{"Host", kHost}}, sha256_hex("")}),
      expected("host;x-amz-content-sha256;x-amz-date",
               "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(S3Signature, AddsTimeHashAndToken) {
  Credentials with_token = kCredentials;
  with_token.session_token = "token/of+the=session";
  const UnsignedRequest request = {"GET", "/", {}, {{"host", kHost}}, sha256_hex("")};
  const NamesAndValues added = sign(request, with_token, "us-east-1", kTimeMs);
  ASSERT_EQ(added.size(), 4u);
  EXPECT_EQ(added[0], std::pair(std::string("x-amz-date"), std::string("20130524T000000Z")));
  EXPECT_EQ(added[1], std::pair(std::string("x-amz-content-sha256"), sha256_hex("")));
  EXPECT_EQ(added[2], std::pair(std::string("x-amz-security-token"), with_token.session_token));
  EXPECT_NE(added[3].second.find("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"),
            std::string::npos);
  EXPECT_NE(authorization(request, with_token), authorization(request));
}

TEST(S3Signature, EverythingCounts) {
  const UnsignedRequest request = {"GET", "/a", {{"b", "c"}}, {{"host", kHost}}, sha256_hex("")};
  const std::string signature = authorization(request);
  auto differs = [&](auto change) {
    UnsignedRequest other = request;
    change(other);
    EXPECT_NE(authorization(other), signature);
  };
  differs([](UnsignedRequest& r) { r.method = "PUT"; });
  differs([](UnsignedRequest& r) { r.path = "/A"; });
  differs([](UnsignedRequest& r) { r.query[0].second = "d"; });
  differs([](UnsignedRequest& r) { r.headers[0].second += ":9000"; });
  differs([](UnsignedRequest& r) { r.payload_hash = sha256_hex("x"); });
  EXPECT_NE(sign(request, kCredentials, "eu-west-1", kTimeMs),
            sign(request, kCredentials, "us-east-1", kTimeMs));
}

TEST(S3Signature, Encoding) {
  EXPECT_EQ(uri_encode("/a b+c%d=e&f~g-h_i.j", true), "/a%20b%2Bc%25d%3De%26f~g-h_i.j");
  EXPECT_EQ(uri_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(uri_encode("\xc3\xa4", false), "%C3%A4");
  EXPECT_EQ(uri_decode("/a%20b%2bc+d"), "/a b+c+d");
  EXPECT_EQ(uri_decode("/a%20b%2bc+d", true), "/a b+c d");
  for (const char* broken : {"%", "a%2", "%g0", "%0g"}) EXPECT_EQ(uri_decode(broken), std::nullopt) << broken;
  // By their encoded form: "%7B" comes before "a".
  EXPECT_EQ(encode_query({{"{", "1"}, {"a", ""}, {"B", "x y"}}), "%7B=1&B=x%20y&a=");
  EXPECT_EQ(encode_query({}), "");
  EXPECT_EQ(amz_time(1'767'323'045'678), "20260102T030405Z");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace tidemark::backup
