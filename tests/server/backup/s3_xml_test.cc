#include "server/backup/s3_xml.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::backup {
namespace {

std::string listing(std::string_view inside, std::string_view truncated = "false") {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name><Prefix/>"
         "<MaxKeys>1000</MaxKeys><IsTruncated>" +
         std::string(truncated) + "</IsTruncated>" + std::string(inside) + "</ListBucketResult>";
}

std::string object(std::string_view key) {
  return "<Contents><Key>" + std::string(key) +
         "</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>&quot;fba9&quot;</ETag>"
         "<Size>434234</Size><StorageClass>STANDARD</StorageClass></Contents>";
}

void expect_senseless(const std::string& xml, std::string_view part) {
  const auto parsed = parse_s3_listing(xml);
  ASSERT_FALSE(parsed.has_value()) << xml;
  EXPECT_EQ(parsed.error().code, ErrorCode::kCorruption);
  EXPECT_NE(parsed.error().message.find(part), std::string::npos) << parsed.error().message;
}

TEST(S3Xml, ListsObjects) {
  const auto parsed = parse_s3_listing(listing(object("my-image.jpg") + object("my/third/image.jpg")));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  ASSERT_EQ(parsed->objects.size(), 2u);
  EXPECT_EQ(parsed->objects[0].key, "my-image.jpg");
  EXPECT_EQ(parsed->objects[0].size, 434234u);
  EXPECT_EQ(parsed->objects[0].modified_ms, 1'255'369'830'000);
  EXPECT_EQ(parsed->objects[1].key, "my/third/image.jpg");
  EXPECT_FALSE(parsed->truncated);
  EXPECT_TRUE(parsed->folders.empty());
}

TEST(S3Xml, Empty) {
  const auto parsed = parse_s3_listing(listing(""));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(parsed->objects.empty());
}

TEST(S3Xml, SaysThatThereIsMore) {
  const auto parsed = parse_s3_listing(
      listing("<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>" +
                  object("a"),
              "true"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(parsed->truncated);
  EXPECT_EQ(parsed->continuation, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");
}

TEST(S3Xml, Folders) {
  const auto parsed = parse_s3_listing(
      listing("<EncodingType>url</EncodingType><CommonPrefixes><Prefix>a/b%2Bc/</Prefix></CommonPrefixes>"
              "<CommonPrefixes><Prefix>a/d/</Prefix></CommonPrefixes>"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->folders, (std::vector<std::string>{"a/b+c/", "a/d/"}));
}

TEST(S3Xml, EntitiesAndEncodedKeys) {
  auto parsed = parse_s3_listing(listing(object("a&amp;b&lt;c&#x27;d%20e+f")));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->objects[0].key, "a&b<c'd%20e+f");  // no word of an encoding
  parsed = parse_s3_listing(listing("<EncodingType>url</EncodingType>" + object("a%26b/c%2Bd+e%20f%25")));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->objects[0].key, "a&b/c+d e f%");
  parsed = parse_s3_listing(listing(object(" ")));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->objects[0].key, " ");
}

TEST(S3Xml, MissingFields) {
  const std::string time = "<LastModified>2009-10-12T17:50:30Z</LastModified>";
  expect_senseless("<ListBucketResult/>", "whether it is all");
  expect_senseless(listing("", "maybe"), "whether it is all");
  expect_senseless(listing("<Contents>" + time + "<Size>1</Size></Contents>"), "no key");
  expect_senseless(listing("<Contents><Key/>" + time + "<Size>1</Size></Contents>"), "no key");
  expect_senseless(listing("<EncodingType>url</EncodingType>" + object("a%2")), "no key");
  expect_senseless(listing("<Contents><Key>k</Key>" + time + "</Contents>"), "no size");
  for (const char* size : {"-1", "1x", "99999999999999999999999", " 1"})
    expect_senseless(listing("<Contents><Key>k</Key>" + time + "<Size>" + size + "</Size></Contents>"),
                     "no size");
  expect_senseless(listing("<Contents><Key>k</Key><Size>1</Size></Contents>"), "no time");
  expect_senseless(listing("<CommonPrefixes/>"), "no name");
}

TEST(S3Xml, Garbage) {
  expect_senseless("", "not XML");
  expect_senseless("not xml at all", "not XML");
  expect_senseless("<html><body>Log in to the hotel's network</body></html>", "no ListBucketResult");
  const std::string whole = listing(object("a") + object("b"));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_s3_listing(whole.substr(0, size)).has_value()) << size;
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  expect_senseless(deep, "not XML");
}

TEST(S3Xml, NoEntitiesOfItsOwn) {
  const auto parsed = parse_s3_listing("<!DOCTYPE x [<!ENTITY e \"boom\">]>" + listing(object("a&e;b")));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->objects[0].key, "a&e;b");
}

TEST(S3Xml, Errors) {
  const auto error = parse_s3_error(
      "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>The region "
      "&apos;us-east-1"
      "&apos; is wrong</Message><Region>eu-west-1</Region><RequestId>1</RequestId></Error>");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "AuthorizationHeaderMalformed");
  EXPECT_EQ(error->message, "The region 'us-east-1' is wrong");
  EXPECT_EQ(error->region, "eu-west-1");
  EXPECT_EQ(error->server_time, "");
  for (const char* none : {"", "<html/>", "<Error/>", "<Error><Code/></Error>", "<Error><Code>x</Code>"})
    EXPECT_FALSE(parse_s3_error(none).has_value()) << none;
}

}  // namespace
}  // namespace tidemark::backup
