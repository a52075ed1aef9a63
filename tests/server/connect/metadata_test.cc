#include "server/connect/metadata.h"

#include <gtest/gtest.h>

namespace tidemark::connect {
namespace {

// The version agreed on, 0 if none, -1 if the request is refused.
int agreed(std::string_view body) {
  const Result<std::vector<int64_t>> versions = parse_metadata_request(body);
  if (!versions) {
    EXPECT_EQ(versions.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(versions.error().message.starts_with("The metadata exchange request is invalid: "));
    return -1;
  }
  const ProtocolVersion* version = negotiate(*versions);
  return version == nullptr ? 0 : version->number;
}

TEST(Metadata, TheHighestCommonVersion) {
  EXPECT_EQ(agreed(R"({"supportedVersions":[1,2,3]})"), 3);
  EXPECT_EQ(agreed(R"({"supportedVersions":[3,2,1]})"), 3);
  EXPECT_EQ(agreed(R"({"supportedVersions":[1,2]})"), 2);
  EXPECT_EQ(agreed(R"({"supportedVersions":[2]})"), 2);
  EXPECT_EQ(agreed(R"({"supportedVersions":[1]})"), 1);
  EXPECT_EQ(agreed(R"({"supportedVersions":[2,3,4,5]})"), 3);
  EXPECT_EQ(agreed(R"({"supportedVersions":[2,18446744073709551615]})"), 2);
}

TEST(Metadata, NoBodyAndNoListMeanVersionOne) {
  EXPECT_EQ(agreed(""), 1);
  EXPECT_EQ(agreed("{}"), 1);
}

TEST(Metadata, UnknownFieldsAreIgnored) {
  EXPECT_EQ(agreed(R"( {"more":{"x":[null]},"supportedVersions":[2,3]} )"), 3);
}

TEST(Metadata, NoCommonVersion) {
  EXPECT_EQ(agreed(R"({"supportedVersions":[]})"), 0);
  EXPECT_EQ(agreed(R"({"supportedVersions":[0,4,-1]})"), 0);
}

TEST(Metadata, NotSuchARequest) {
  for (const char* body :
       {"x", "[]", "1", "null", "\"\"", "{", R"({"supportedVersions":1})", R"({"supportedVersions":{}})",
        R"({"supportedVersions":["2"]})", R"({"supportedVersions":[2.5]})", R"({"supportedVersions":[null]})",
        R"({"supportedVersions":[2]} trailing)"}) {
    EXPECT_EQ(agreed(body), -1) << body;
  }
  EXPECT_EQ(agreed(std::string(16384, '[')), -1);
  std::string deep = R"({"supportedVersions":)" + std::string(5000, '[') + std::string(5000, ']') + "}";
  EXPECT_EQ(agreed(deep), -1);
}

TEST(Metadata, EveryTruncationIsRefusedOrEmpty) {
  const std::string body = R"({"supportedVersions":[1,2,3]})";
  for (size_t size = 1; size < body.size(); ++size) EXPECT_EQ(agreed(body.substr(0, size)), -1) << size;
}

TEST(Metadata, TheAnswerHasExactlyTheFieldsOfTheProtocol) {
  EXPECT_EQ(format_metadata({&kProtocolVersions[2], "01234567-89ab-4def-8123-456789abcdef", "tok",
                             1'715'000'000'123, "/v2"}),
            R"({"version":3,"databaseId":"01234567-89ab-4def-8123-456789abcdef","token":"tok",)"
            R"("expiresAt":"2024-05-06T12:53:20.123Z","endpoints":[{"url":"/v2","consistency":"strong"}]})");
}

TEST(Metadata, Times) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(951'782'399'999), "2000-02-28T23:59:59.999Z");
  EXPECT_EQ(format_time(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(format_time(4'102'444'800'001), "2100-01-01T00:00:00.001Z");
}

TEST(Metadata, Authorities) {
  for (const char* host : {"localhost", "localhost:4512", "[::1]:4512", "kv.example.org", "10.0.0.1:80"}) {
    EXPECT_TRUE(is_plain_authority(host)) << host;
  }
  for (const char* host : {"", "a/b", "a b", "a\"b", "user@host", "a?b", "a\r\nb"}) {
    EXPECT_FALSE(is_plain_authority(host)) << host;
  }
  EXPECT_FALSE(is_plain_authority(std::string(300, 'a')));
}

TEST(ProtocolVersions, HeadersOfTheDataPath) {
  EXPECT_EQ(version_of_header("")->number, 1);
  EXPECT_EQ(version_of_header("2")->number, 2);
  EXPECT_EQ(version_of_header("3")->number, 3);
  for (const char* header : {"0", "1", "4", "02", "2 ", "two", "-2"})
    EXPECT_EQ(version_of_header(header), nullptr);
}

}  // namespace
}  // namespace tidemark::connect
