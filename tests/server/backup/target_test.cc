#include "server/backup/target.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "engine/io/posix_file_system.h"
#include "server/backup/s3_address.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_folder.h"

namespace tidemark::backup {
namespace {

Target parse(std::string_view url) {
  const auto target = parse_target(url);
  EXPECT_TRUE(target.has_value()) << url << ": " << target.error().message;
  return target.value_or(Target{});
}

void expect_wrong(std::string_view url, std::string_view part) {
  const auto target = parse_target(url);
  ASSERT_FALSE(target.has_value()) << url;
  EXPECT_EQ(target.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(target.error().message.find(part), std::string::npos) << url << ": " << target.error().message;
}

TEST(Target, S3) {
  const Target target = parse(
      "s3://bucket/some/prefix/?endpoint=https://host:9000&region=eu-west-1&sse=aws:kms"
      "&kms-key=arn:aws:kms:eu-west-1:1:key/ab-cd");
  EXPECT_EQ(target.kind, Target::Kind::kS3);
  EXPECT_EQ(target.bucket, "bucket");
  EXPECT_EQ(target.prefix, "some/prefix/");
  EXPECT_EQ(target.endpoint, "https://host:9000");
  EXPECT_EQ(target.region, "eu-west-1");
  EXPECT_EQ(target.sse, "aws:kms");
  EXPECT_EQ(target.kms_key, "arn:aws:kms:eu-west-1:1:key/ab-cd");
  EXPECT_EQ(describe(target), "s3://bucket/some/prefix/");
  EXPECT_EQ(parse("s3://bucket").prefix, "");
  EXPECT_EQ(parse("s3://bucket"), parse("s3://bucket/"));
  EXPECT_EQ(parse("s3://my.bucket-1/?sse=AES256").sse, "AES256");
}

TEST(Target, Folder) {
  const Target target = parse("file:///var/backups/tide%20mark/");
  EXPECT_EQ(target.kind, Target::Kind::kFolder);
  EXPECT_EQ(target.path, "/var/backups/tide mark");
  EXPECT_EQ(describe(target), "file:///var/backups/tide%20mark/");
  EXPECT_EQ(parse("file:///var/backups/tide mark"), target);
  EXPECT_NE(parse("file:///var/backups/other/"), target);
}

TEST(Target, ReadsBackWhatItWrites) {
  for (const char* url : {"s3://bucket/", "s3://bucket/a/b/", "s3://bucket/a%20b%3F%23%25/", "file:///a/b/",
                          "file:///a%3Fb%25/", "s3://bucket/?endpoint=http://127.0.0.1:9000",
                          "s3://bucket/p/?endpoint=https://host/path&region=auto",
                          "s3://bucket/?region=eu-west-1&sse=aws:kms:dsse&kms-key=a%26b%25"}) {
    EXPECT_EQ(target_url(parse(url)), url);
    EXPECT_EQ(parse(target_url(parse(url))), parse(url));
  }
}

TEST(Target, OneFormForTheSamePlace) {
  const std::string canonical = "s3://bucket/a/?endpoint=https://host&region=r1";
  for (const char* url : {"s3://bucket/a/?region=r1&endpoint=https://host",
                          "s3://bucket/%61/?endpoint=HTTPS://HOST:443/&region=r1",
                          "s3://bucket/a/?endpoint=https%3A%2F%2Fhost&region=r1&"})
    EXPECT_EQ(target_url(parse(url)), canonical) << url;
}

TEST(Target, SaysWhatToMend) {
  expect_wrong("bucket", "begins with s3:// or file://");
  expect_wrong("http://host/bucket", "begins with s3:// or file://");
  expect_wrong("s3://bucket/prefix", "write s3://bucket/prefix/");
  expect_wrong("s3://bucket/prefix?region=x", "write s3://bucket/prefix/?region=x");
  expect_wrong("s3://", "a bucket's name");
  expect_wrong("s3://ab/", "a bucket's name");
  expect_wrong("s3://a..b/", "a bucket's name");
  expect_wrong("s3://bucket!/", "a bucket's name");
  expect_wrong("s3://bucket//", "without empty parts");
  expect_wrong("s3://bucket/a/../b/", "without empty parts");
  expect_wrong("s3://bucket/%0a/", "ASCII");
  expect_wrong("s3://bucket/%4/", "two hex digits");
  expect_wrong("s3://bucket/#x", "%23");
  expect_wrong("s3://bucket/?regions=x", "\"regions\" is no parameter");
  expect_wrong("s3://bucket/?region", "region has no value");
  expect_wrong("s3://bucket/?region=a/b", "cannot be the name of a region");
  expect_wrong("s3://bucket/?region=a&region=b", "region is given twice");
  expect_wrong("s3://bucket/?sse=des", "sse is AES256");
  expect_wrong("s3://bucket/?kms-key=a", "only for sse=aws:kms");
  expect_wrong("s3://bucket/?sse=AES256&kms-key=a", "only for sse=aws:kms");
  expect_wrong("s3://bucket/?endpoint=host:9000", "neither https://");
  expect_wrong("file://path", "absolute path");
  expect_wrong("file:///", "names no folder");
  expect_wrong("file:///a/../b/", "no empty parts");
  expect_wrong("file:///a//b/", "no empty parts");
  expect_wrong("file:///a/?region=x", "takes no parameters");
}

TEST(Target, PasswordsAreNotRepeated) {
  for (const char* url : {"s3://key:hunter2@bucket/", "s3://bucket/?endpoint=https://key:hunter2@host",
                          "s3://bucket/p?endpoint=https://key:hunter2@host"}) {
    const auto target = parse_target(url);
    ASSERT_FALSE(target.has_value());
    EXPECT_FALSE(target.error().message.contains("hunter2")) << target.error().message;
  }
}

TEST(S3Address, Endpoints) {
  EXPECT_EQ(canonical_endpoint("https://s3.example.com/").value(), "https://s3.example.com");
  EXPECT_EQ(canonical_endpoint("HTTP://S3.Example.com:80").value(), "http://s3.example.com");
  EXPECT_EQ(canonical_endpoint("http://host:443").value(), "http://host:443");
  EXPECT_EQ(canonical_endpoint("http://[::1]:9000/a/b/").value(), "http://[::1]:9000/a/b");
  for (const char* url : {"", "ftp://host", "https://", "https://:9000", "https://host:", "https://host:0",
                          "https://host:65536", "https://host:x", "https://ho st", "https://host?x",
                          "https://host#x", "https://[::1", "https://[]", "https://host/%", "https://a@b"})
    EXPECT_FALSE(canonical_endpoint(url).has_value()) << url;
}

TEST(S3Address, Buckets) {
  auto address = s3_address("bucket", "", "eu-west-1").value();
  EXPECT_EQ(address.origin, "https://bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(address.host, "bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(address.path, "/");
  // No certificate covers it in the host's name.
  address = s3_address("my.bucket", "", "cn-north-1").value();
  EXPECT_EQ(address.origin, "https://s3.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(address.path, "/my.bucket/");
  address = s3_address("bucket", "http://127.0.0.1:9000", "us-east-1").value();
  EXPECT_EQ(address.origin, "http://127.0.0.1:9000");
  EXPECT_EQ(address.host, "127.0.0.1:9000");
  EXPECT_EQ(address.path, "/bucket/");
  address = s3_address("bucket", "https://host:443/storage/v1%20x/", "us-east-1").value();
  EXPECT_EQ(address.host, "host");
  EXPECT_EQ(address.path, "/storage/v1 x/bucket/");
}

TEST(MakeObjectStore, Folder) {
  TemporaryFolder folder;
  FakeClock clock;
  auto store = make_object_store(parse("file://" + folder.path()), {posix_file_system(), clock});
  ASSERT_TRUE(store.has_value());
  EXPECT_TRUE((*store)->put("a/b", "1").has_value());
  EXPECT_EQ((*store)->get("a/b", 1)->bytes, "1");
}

TEST(MakeObjectStore, S3NeedsRegionAndCredentials) {
  FakeClock clock;
  std::map<std::string, std::string> variables;
  StoreContext context{posix_file_system(), clock};
  context.environment = [&](std::string_view name) -> std::optional<std::string> {
    const auto place = variables.find(std::string(name));
    return place == variables.end() ? std::nullopt : std::optional(place->second);
  };
  auto store = make_object_store(parse("s3://bucket/p/"), context);
  ASSERT_FALSE(store.has_value());
  EXPECT_NE(store.error().message.find("add ?region="), std::string::npos) << store.error().message;
  store = make_object_store(parse("s3://bucket/p/?region=eu-west-1"), context);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kDenied);
  EXPECT_NE(store.error().message.find("s3://bucket/p/: there are no credentials"), std::string::npos);
  variables = {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "B"}};
  store = make_object_store(parse("s3://bucket/p/?endpoint=http://127.0.0.1:1"), context);
  ASSERT_TRUE(store.has_value()) << store.error().message;
  EXPECT_EQ((*store)->describe(), "s3://bucket/p");
  variables["AWS_REGION"] = "evil.example.com/";
  store = make_object_store(parse("s3://bucket/p/"), context);
  ASSERT_FALSE(store.has_value());
  EXPECT_NE(store.error().message.find("odd characters"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::backup
