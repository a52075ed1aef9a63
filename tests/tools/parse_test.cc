#include "tools/parse.h"

#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

constexpr int64_t kBad = -1;

template <class T>
int64_t value_of(const Result<T>& result) {
  if (result) return static_cast<int64_t>(*result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(result.error().message.empty());
  return kBad;
}

TEST(Parse, Durations) {
  EXPECT_EQ(value_of(parse_duration_ms("0s")), 0);
  EXPECT_EQ(value_of(parse_duration_ms("1500ms")), 1500);
  EXPECT_EQ(value_of(parse_duration_ms("45s")), 45'000);
  EXPECT_EQ(value_of(parse_duration_ms("30m")), 1'800'000);
  EXPECT_EQ(value_of(parse_duration_ms("12h")), 43'200'000);
  EXPECT_EQ(value_of(parse_duration_ms("7d")), 604'800'000);
  EXPECT_EQ(value_of(parse_duration_ms("2w")), 1'209'600'000);
  for (const char* bad : {"", "7", "d", "-7d", "+7d", " 7d", "7 d", "7D", "1.5h", "7d12h",
                          "99999999999999999999d", "18446744073709551615w", "40000d"}) {
    EXPECT_EQ(value_of(parse_duration_ms(bad)), kBad) << bad;
  }
}

TEST(Parse, Retention) {
  EXPECT_EQ(*parse_retention("forever"), Retention::forever());
  EXPECT_EQ(*parse_retention("none"), Retention::none());
  EXPECT_EQ(*parse_retention("7d"), Retention::for_ms(604'800'000));
  EXPECT_FALSE(parse_retention("always").has_value());
  EXPECT_FALSE(parse_retention("").has_value());
}

TEST(Parse, Bytes) {
  EXPECT_EQ(value_of(parse_bytes("0")), 0);
  EXPECT_EQ(value_of(parse_bytes("1048576")), 1 << 20);
  EXPECT_EQ(value_of(parse_bytes("512K")), 512 << 10);
  EXPECT_EQ(value_of(parse_bytes("256M")), 256 << 20);
  EXPECT_EQ(value_of(parse_bytes("256MiB")), 256 << 20);
  EXPECT_EQ(value_of(parse_bytes("4G")), int64_t{4} << 30);
  EXPECT_EQ(value_of(parse_bytes("3TiB")), int64_t{3} << 40);
  for (const char* bad : {"", "M", "-1", "1.5G", "12MB", "12m", "1 M", "18446744073709551616",
                          "9223372036854775808", "8388608T"}) {
    EXPECT_EQ(value_of(parse_bytes(bad)), kBad) << bad;
  }
}

TEST(Parse, BytesBetween) {
  EXPECT_EQ(value_of(parse_bytes_between("1K", 1024, 2048)), 1024);
  EXPECT_EQ(value_of(parse_bytes_between("2048", 1024, 2048)), 2048);
  EXPECT_EQ(parse_bytes_between("1023", 1024, 2048).error().message, "'1023' is too small: at least 1 KiB");
  EXPECT_EQ(parse_bytes_between("2049", 1024, 2048).error().message, "'2049' is too large: at most 2 KiB");
  EXPECT_EQ(parse_bytes_between("9", 0, 8).error().message, "'9' is too large: at most 8 bytes");
  EXPECT_FALSE(parse_bytes_between("x", 0, 8).has_value());
}

TEST(Parse, Counts) {
  EXPECT_EQ(value_of(parse_count("0", 0, 5)), 0);
  EXPECT_EQ(value_of(parse_count("5", 0, 5)), 5);
  for (const char* bad : {"", "6", "-1", "+1", "1.0", "0x1", "1K", " 1", "99999999999999999999"}) {
    EXPECT_EQ(value_of(parse_count(bad, 0, 5)), kBad) << bad;
  }
}

TEST(Parse, LogFormatsAndLevels) {
  EXPECT_EQ(*parse_log_format("text"), LogFormat::kText);
  EXPECT_EQ(*parse_log_format("json"), LogFormat::kJson);
  EXPECT_FALSE(parse_log_format("JSON").has_value());
  EXPECT_EQ(*parse_log_level("debug"), LogLevel::kDebug);
  EXPECT_EQ(*parse_log_level("info"), LogLevel::kInfo);
  EXPECT_EQ(*parse_log_level("warning"), LogLevel::kWarning);
  EXPECT_EQ(*parse_log_level("error"), LogLevel::kError);
  EXPECT_FALSE(parse_log_level("").has_value());
}

TEST(Parse, Addresses) {
  for (const char* good : {"0.0.0.0:4512", "127.0.0.1:0", "localhost:65535", "[::1]:4512", "[::]:0"}) {
    const Result<std::string> address = parse_address(good);
    ASSERT_TRUE(address.has_value()) << good;
    EXPECT_EQ(*address, good);
  }
  for (const char* bad : {"", "4512", ":4512", "localhost", "localhost:", "localhost:x", "localhost:65536",
                          "localhost:-1", "::1:4512", "localhost:80 "}) {
    EXPECT_FALSE(parse_address(bad).has_value()) << bad;
  }
}

TEST(Parse, PublicUrls) {
  EXPECT_EQ(*parse_public_url("https://kv.example.org"), "https://kv.example.org");
  EXPECT_EQ(*parse_public_url("https://kv.example.org/"), "https://kv.example.org");
  EXPECT_EQ(*parse_public_url("http://10.0.0.1:4512/base//"), "http://10.0.0.1:4512/base");
  EXPECT_EQ(*parse_public_url("https://[::1]/kv"), "https://[::1]/kv");
  EXPECT_EQ(*parse_public_url("https://[::1]:443"), "https://[::1]:443");
  for (const char* bad :
       {"", "kv.example.org", "ftp://x", "https://", "https:///x", "https://a b", "https://a?b=c",
        "https://a#b", "https://user@host", "HTTPS://a", "https://:443", "https://a:", "https://a:port/",
        "https://a:65536", "https://::1", "https://[::1", "https://[]", "https://[]:1"}) {
    EXPECT_FALSE(parse_public_url(bad).has_value()) << bad;
  }
}

TEST(Parse, LoopbackAddresses) {
  for (const char* own : {"127.0.0.1:4512", "127.1.2.3:1", "[::1]:0"}) EXPECT_TRUE(is_loopback(own)) << own;
  for (const char* other : {"0.0.0.0:4512", "[::]:4512", "10.0.0.1:1", "[fe80::1]:1", "192.168.1.2:4512"})
    EXPECT_FALSE(is_loopback(other)) << other;
}

TEST(Parse, AccessTokens) {
  EXPECT_EQ(*parse_access_token("123456789012"), "123456789012");
  EXPECT_EQ(*parse_access_token("a token with spaces\r\n"), "a token with spaces");
  EXPECT_FALSE(parse_access_token("12345678901").has_value());
  EXPECT_FALSE(parse_access_token("12345678901\n").has_value());
  EXPECT_FALSE(parse_access_token("").has_value());
  EXPECT_FALSE(parse_access_token("two lines\nof a token").has_value());
  EXPECT_FALSE(parse_access_token(" 123456789012").has_value());
  EXPECT_FALSE(parse_access_token("p\xc3\xa4ssword of some length").has_value());
  const std::string secret = "short token";
  EXPECT_EQ(parse_access_token(secret).error().message.find(secret), std::string::npos);
}

}  // namespace
}  // namespace tidemark::tools
