#include <gtest/gtest.h>

#include "engine/base/base64.h"
#include "server/host/access_token.h"
#include "server/host/data_token.h"
#include "server/host/uuid.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::host {
namespace {

constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

Uuid uuid(const char* text) {
  return *Uuid::from_text(text);
}
const Uuid kA = uuid("01234567-89ab-4def-8123-456789abcdef");
const Uuid kB = uuid("01234567-89ab-4def-8123-456789abcdee");
constexpr TokenId kToken{0x0123456789abcdef};

SigningKey key_of(uint8_t fill) {
  SigningKey key;
  key.fill(fill);
  return key;
}

TEST(AccessToken, OnlyTheTokenMatches) {
  const AccessToken token("a secret of some length");
  EXPECT_TRUE(token.matches(hash_token("a secret of some length")));
  EXPECT_FALSE(token.matches(hash_token("a secret of some lengtH")));
  EXPECT_FALSE(token.matches(hash_token("a secret of some length ")));
  EXPECT_FALSE(token.matches(hash_token("a secret of some lengt")));
  EXPECT_FALSE(token.matches(hash_token("")));
}

TEST(AccessToken, RandomOnesAreLongAndDiffer) {
  const std::string one = random_token();
  EXPECT_TRUE(one.starts_with("tm_")) << one;
  const auto bytes = from_base64url(one.substr(3));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 32u);
  EXPECT_NE(random_token(), one);
}

TEST(TokenId, TextAndBack) {
  EXPECT_EQ(kToken.text(), "0123456789abcdef");
  EXPECT_EQ(TokenId{1}.text(), "0000000000000001");
  for (const TokenId id : {TokenId{}, kToken, TokenId{UINT64_MAX}}) {
    EXPECT_EQ(TokenId::from_text(id.text()), id);
  }
  EXPECT_EQ(TokenId::from_text("0123456789ABCDEF"), kToken);
  for (const char* bad : {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeg", "-123456789abcdef",
                          "0x23456789abcdef", " 123456789abcdef"}) {
    EXPECT_FALSE(TokenId::from_text(bad)) << bad;
  }
}

TEST(Base64Url, BackAndForth) {
  for (const auto& [bytes, chars] : {std::pair<std::string, std::string>{"", ""},
                                     {"f", "Zg"},
                                     {"fo", "Zm8"},
                                     {"foo", "Zm9v"},
                                     {"\xfb\xff", "-_8"}}) {
    EXPECT_EQ(base64url(bytes), chars);
    EXPECT_EQ(from_base64url(chars), bytes);
  }
  for (const char* bad : {"Zh", "Z", "Zm9", "Z===", "Zm9vZ", "Zm+v", "Zm/v"})
    EXPECT_FALSE(from_base64url(bad)) << bad;
}

TEST(Base64, BackAndForth) {
  for (const auto& [bytes, chars] : {std::pair<std::string, std::string>{"", ""},
                                     {"f", "Zg=="},
                                     {"fo", "Zm8="},
                                     {"foo", "Zm9v"},
                                     {"foob", "Zm9vYg=="},
                                     {"\xfb\xff", "+/8="}}) {
    EXPECT_EQ(base64(bytes), chars);
    EXPECT_EQ(from_base64(chars), bytes);
  }
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "====", "=", "Zg==Zg==", "Zm-v", "Zm9v="})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(DataTokens, SayWhatTheyWereIssuedFor) {
  test::ManualClock clock;
  const DataTokens tokens(key_of(1), clock);
  const DataTokens::Issued issued = tokens.issue(kA, Rights::kReadWrite, kToken);
  EXPECT_EQ(issued.expires_at_ms, clock.wall_us() / 1000 + kDayMs);
  for (int use = 0; use < 2; ++use) {  // the second from the cache
    const auto claims = tokens.verify(issued.token);
    ASSERT_TRUE(claims);
    EXPECT_EQ(claims->database, kA);
    EXPECT_EQ(claims->rights, Rights::kReadWrite);
    EXPECT_EQ(claims->access_token, kToken);
    EXPECT_EQ(claims->expires_at_ms, issued.expires_at_ms);
  }
  EXPECT_NE(tokens.issue(kB, Rights::kReadWrite, kToken).token, issued.token);
  EXPECT_EQ(tokens.verify(tokens.issue(kA, Rights::kReadOnly, kToken).token)->rights, Rights::kReadOnly);
  EXPECT_EQ(tokens.verify(tokens.issue(kA, Rights::kReadWrite, {}).token)->access_token, TokenId{});
}

TEST(DataTokens, IdsOfTokensWithoutARecord) {
  test::ManualClock clock;
  const TokenHash hash = hash_token("a token");
  const TokenId id = DataTokens(key_of(1), clock).id_of_unrecorded(hash);
  EXPECT_EQ(DataTokens(key_of(1), clock).id_of_unrecorded(hash), id);
  EXPECT_NE(DataTokens(key_of(2), clock).id_of_unrecorded(hash), id);
  EXPECT_NE(DataTokens(key_of(1), clock).id_of_unrecorded(hash_token("another token")), id);
}

TEST(DataTokens, FitForAHeader) {
  test::ManualClock clock;
  const std::string token = DataTokens(key_of(0xff), clock).issue(kA, Rights::kReadWrite, kToken).token;
  EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            token.npos);
}

TEST(DataTokens, SurviveARestart) {
  test::ManualClock clock;
  const std::string token = DataTokens(key_of(7), clock).issue(kA, Rights::kReadWrite, kToken).token;
  EXPECT_TRUE(DataTokens(key_of(7), clock).verify(token));
  EXPECT_FALSE(DataTokens(key_of(8), clock).verify(token));
}

TEST(DataTokens, ExpireCachedOrNot) {
  test::ManualClock clock;
  const DataTokens tokens(key_of(1), clock);
  const DataTokens::Issued issued = tokens.issue(kA, Rights::kReadWrite, kToken);
  clock.set_ms(issued.expires_at_ms - 1);
  EXPECT_TRUE(tokens.verify(issued.token));
  clock.set_ms(issued.expires_at_ms);
  EXPECT_FALSE(tokens.verify(issued.token));
  EXPECT_FALSE(DataTokens(key_of(1), clock).verify(issued.token));
}

TEST(DataTokens, EveryChangeIsNoticed) {
  test::ManualClock clock;
  const DataTokens tokens(key_of(1), clock);
  const std::string token = tokens.issue(kA, Rights::kReadWrite, kToken).token;
  for (size_t i = 0; i < token.size(); ++i) {
    for (const char c : {'A', 'B', 'z', '9', '-', '_', '=', '\0', '\xff'}) {
      std::string changed = token;
      if (changed[i] == c) continue;
      changed[i] = c;
      EXPECT_FALSE(tokens.verify(changed)) << i;
    }
    EXPECT_FALSE(tokens.verify(token.substr(0, i)));
  }
  EXPECT_FALSE(tokens.verify(token + "A"));
  EXPECT_FALSE(tokens.verify(std::string(1 << 20, 'A')));
  EXPECT_TRUE(tokens.verify(token));
}

TEST(DataTokens, MoreTokensThanTheCacheHolds) {
  test::ManualClock clock;
  const DataTokens tokens(key_of(1), clock);
  std::vector<std::string> all;
  for (int i = 0; i < 2000; ++i) {
    clock.set_ms(1'700'000'000'000 + i);
    all.push_back(tokens.issue(i % 2 == 0 ? kA : kB, Rights::kReadWrite, kToken).token);
  }
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < all.size(); ++i) {
      const auto claims = tokens.verify(all[i]);
      ASSERT_TRUE(claims);
      EXPECT_EQ(claims->database, i % 2 == 0 ? kA : kB);
      EXPECT_EQ(claims->expires_at_ms, 1'700'000'000'000 + static_cast<int64_t>(i) + kDayMs);
    }
  }
}

TEST(Uuid, TextAndBack) {
  EXPECT_EQ(kA.text(), "01234567-89ab-4def-8123-456789abcdef");
  EXPECT_EQ(uuid("01234567-89AB-4DEF-8123-456789ABCDEF"), kA);
  for (const char* bad : {"", "01234567-89ab-4def-8123-456789abcde", "01234567-89ab-4def-8123-456789abcdef0",
                          "0123456789ab-4def-8123-456789abcdef-", "01234567-89ab-4def-8123-456789abcdeg",
                          "01234567x89ab-4def-8123-456789abcdef", "{1234567-89ab-4def-8123-456789abcde}"}) {
    EXPECT_FALSE(Uuid::from_text(bad)) << bad;
  }
  EXPECT_EQ(*Uuid::from_raw(kA.raw()), kA);
  EXPECT_FALSE(Uuid::from_raw(kA.raw().substr(1)));
}

TEST(Uuid, RandomOnesAreOfVersion4AndDiffer) {
  const Uuid one = random_uuid();
  const Uuid other = random_uuid();
  EXPECT_FALSE(one == other);
  EXPECT_EQ(one.text()[14], '4');
  EXPECT_NE(std::string("89ab").find(one.text()[19]), std::string::npos);
}

}  // namespace
}  // namespace tidemark::host
