#include "server/dump/dump.h"

#include <gmock/gmock.h>

#include "server/kv/tuple_key.h"
#include "server/kv/v8_form.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::dump {
namespace {

using test::TestStore;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string key(std::initializer_list<kv::KeyPart> parts) {
  return kv::encode_key(parts).value();
}

class DumpTest : public ::testing::Test {
 protected:
  Versionstamp set(const std::string& key, std::string_view data, kv::Encoding encoding,
                   int64_t expire_at_ms = 0) {
    kv::Mutation mutation = test::set_mutation(key, data, encoding);
    mutation.expire_at_ms = expire_at_ms;
    return store_.write({.checks = {}, .mutations = {mutation}, .enqueues = {}}).commit.versionstamp;
  }

  std::vector<std::string> lines(const Options& options = {.name = "test", .moment = {}, .prefix = {}}) {
    std::vector<std::string> out;
    const auto dumped = dump(
        store_.database(), store_.clock(), options,
        [&](std::string_view line) {
          out.emplace_back(line);
          return Status();
        },
        [](uint64_t) { return Status(); });
    EXPECT_TRUE(dumped) << dumped.error().message;
    summary_ = dumped.value_or(Summary());
    return out;
  }
  // Without the first and the last.
  std::vector<std::string> entries(const Options& options = {.name = "test", .moment = {}, .prefix = {}}) {
    std::vector<std::string> out = lines(options);
    EXPECT_GE(out.size(), 2u);
    return {out.begin() + 1, out.end() - 1};
  }

  TestStore store_;
  Summary summary_;
};

TEST_F(DumpTest, NothingButTheFrame) {
  EXPECT_THAT(lines(),
              ElementsAre(R"({"tidemark":"dump","format":1,"database":"test",)"
                          R"("versionstamp":"00000000000000000000","time":"2023-11-14T22:13:20.000Z"})",
                          R"({"tidemark":"end","entries":0})"));
}

TEST_F(DumpTest, EveryEncoding) {
  const std::string a = set(key({std::string("a")}), "\xff\x0fI\x02", kv::Encoding::kV8).hex();
  const std::string b =
      set(key({std::string("b")}), std::string("\7\0\0\0\0\0\0\0", 8), kv::Encoding::kLe64).hex();
  const std::string c = set(key({std::string("c")}), "\xff\x0fI\x02", kv::Encoding::kBytes).hex();
  const std::string d = set(key({std::string("d")}), "\xff\x10T", kv::Encoding::kV8).hex();
  const std::string e = set(key({std::string("e")}), "\xff\x0fU\x01", kv::Encoding::kV8).hex();
  const std::string f = set(key({std::string("f")}), "no value", kv::Encoding::kV8).hex();
  const std::string g = set("no key", "\xff\x0fT", kv::Encoding::kV8, 1'700'000'000'001).hex();
  const std::string h = set("of the far future", "\xff\x0fT", kv::Encoding::kV8, INT64_MAX).hex();
  EXPECT_THAT(lines(),
              ElementsAre(R"({"tidemark":"dump","format":1,"database":"test","versionstamp":")" + h +
                              R"(","time":"2023-11-14T22:13:20.000Z"})",
                          R"({"key":["a"],"value":1,"versionstamp":")" + a + "\"}",
                          R"({"key":["b"],"value":{"$u64":"7"},"versionstamp":")" + b + "\"}",
                          R"({"key":["c"],"value":{"$bytes":"/w9JAg=="},"versionstamp":")" + c + "\"}",
                          R"({"key":["d"],"value":true,"v8":16,"versionstamp":")" + d + "\"}",
                          R"({"key":["e"],"value":1,"raw":"/w9VAQ==","versionstamp":")" + e + "\"}",
                          R"({"key":["f"],"value":{"$v8":"bm8gdmFsdWU="},"versionstamp":")" + f + "\"}",
                          R"({"key":{"$raw":"bm8ga2V5"},"value":true,"versionstamp":")" + g +
                              R"(","expireAt":"2023-11-14T22:13:20.001Z"})",
                          R"({"key":{"$raw":"b2YgdGhlIGZhciBmdXR1cmU="},"value":true,"versionstamp":")" + h +
                              R"(","expireAt":9223372036854775807})",
                          R"({"tidemark":"end","entries":8})"));
  EXPECT_EQ(summary_.counts, (Counts{8, 0}));
}

TEST_F(DumpTest, WhatHasExpiredIsAbsent) {
  set("a", "", kv::Encoding::kBytes, 1'700'000'000'000);
  set("b", "", kv::Encoding::kBytes, 1'700'000'000'001);
  EXPECT_THAT(entries(), SizeIs(1));
  store_.clock().set_ms(1'700'000'000'001);
  EXPECT_THAT(entries(), SizeIs(0));
}

TEST_F(DumpTest, APrefixIsWholeParts) {
  const auto a = std::string("a");
  for (const std::string& one : {key({a}), key({a, false}), key({a, a}), key({std::string("a\0b", 3)}),
                                 key({std::string("ab")}), key({1.0, 2.0}), key({1.0}), key({1.5})}) {
    set(one, "\xff\x0fT", kv::Encoding::kV8);
  }
  const auto keys_under = [&](const std::string& prefix) {
    std::vector<std::string> keys;
    for (const std::string& line : entries({.name = "test", .moment = {}, .prefix = prefix}))
      keys.push_back(line.substr(7, line.find(",\"value\"") - 7));
    return keys;
  };
  EXPECT_THAT(keys_under(key({a})), ElementsAre("[\"a\"]", "[\"a\",\"a\"]", "[\"a\",false]"));
  EXPECT_THAT(keys_under(key({1.0})), ElementsAre("[1]", "[1,2]"));
  EXPECT_THAT(keys_under(""), SizeIs(8));
  EXPECT_THAT(lines({.name = "test", .moment = {}, .prefix = key({a})}).front(),
              HasSubstr(R"("prefix":["a"])"));
}

TEST_F(DumpTest, AMomentOfThePast) {
  const Versionstamp first = set("a", "1", kv::Encoding::kBytes, 1'700'000'000'500);
  store_.clock().set_ms(1'700'000'001'000);
  set("a", "2", kv::Encoding::kBytes);
  set("b", "3", kv::Encoding::kBytes);
  const Options then = {.name = "test", .moment = kv::Moment{first, 1'700'000'000'000}, .prefix = {}};
  EXPECT_THAT(entries(then), ElementsAre(HasSubstr("\"$bytes\":\"MQ==\"")));
  // Named by a time at which it had expired.
  EXPECT_THAT(entries({.name = "test", .moment = kv::Moment{first, 1'700'000'000'500}, .prefix = {}}),
              SizeIs(0));
  const auto beyond = dump(
      store_.database(), store_.clock(),
      {.name = "test", .moment = kv::Moment{Versionstamp::max(), 0}, .prefix = {}},
      [](std::string_view) { return Status(); }, [](uint64_t) { return Status(); });
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ErrorCode::kBeyondHorizon);
}

TEST_F(DumpTest, OneStateOverManyViews) {
  constexpr int kKeys = 9000;  // more than a view is used for
  for (int i = 0; i < kKeys; i += 1000) {
    std::vector<std::string> keys;
    for (int j = 0; j < 1000; ++j) keys.push_back(key({static_cast<double>(i + j)}));
    kv::AtomicWrite write;
    for (const std::string& one : keys) write.mutations.push_back(test::set_mutation(one, "old"));
    store_.write(write);
  }
  int seen = 0;
  const auto dumped = dump(
      store_.database(), store_.clock(), {.name = "test", .moment = {}, .prefix = {}},
      [&](std::string_view line) {
        // Somebody goes on writing: ahead of the dump, and behind it.
        if (seen == 10) store_.set(key({8999.0}), "new");
        if (seen == 20) store_.set(key({5.5}), "new");
        if (seen == 30) store_.erase(key({8000.0}));
        if (line.find("\"key\"") != line.npos) {
          EXPECT_THAT(line, HasSubstr(R"("key":[)" + std::to_string(seen) + "]"));
          EXPECT_THAT(line, HasSubstr("b2xk"));
          ++seen;
        }
        return Status();
      },
      [](uint64_t) { return Status(); });
  ASSERT_TRUE(dumped);
  EXPECT_EQ(seen, kKeys);
  EXPECT_EQ(dumped->counts.entries, static_cast<uint64_t>(kKeys));
}

TEST_F(DumpTest, History) {
  const std::string a = key({std::string("a")}), b = key({std::string("b")});
  const std::string first = set(a, "1", kv::Encoding::kBytes).hex();
  const std::string second = set(b, "2", kv::Encoding::kBytes, 1'700'000'000'100).hex();
  const std::string third = set(a, "3", kv::Encoding::kBytes).hex();
  store_.erase(a);
  const std::string fourth = store_.database().head().hex();
  const std::vector<std::string> all = {
      R"({"key":["a"],"value":{"$bytes":"MQ=="},"versionstamp":")" + first + "\"}",
      R"({"key":["b"],"value":{"$bytes":"Mg=="},"versionstamp":")" + second +
          R"(","expireAt":"2023-11-14T22:13:20.100Z"})",
      R"({"key":["a"],"value":{"$bytes":"Mw=="},"versionstamp":")" + third + "\"}",
      R"({"key":["a"],"versionstamp":")" + fourth + R"(","deleted":true})"};
  store_.clock().set_ms(1'700'000'000'500);
  const Options history = {.name = "test", .moment = {}, .prefix = {}, .history = true};
  EXPECT_EQ(entries(history), all);
  EXPECT_EQ(summary_.counts, (Counts{3, 1}));
  EXPECT_THAT(lines(history).front(), HasSubstr("\"history\":true"));
  EXPECT_THAT(entries({.name = "test", .moment = {}, .prefix = b, .history = true}), ElementsAre(all[1]));
  EXPECT_THAT(entries({.name = "test",
                       .moment = kv::Moment{*Versionstamp::from_hex(second), 0},
                       .prefix = {},
                       .history = true}),
              ElementsAre(all[0], all[1]));
  ASSERT_TRUE(store_.database().flush());
  EXPECT_EQ(entries(history), all);
}

TEST_F(DumpTest, HistoryOfManyCommitsBeginsWithTheHorizon) {
  constexpr int kCommits = 10'000;  // of which one visit takes less than half
  for (int i = 0; i < kCommits; i += 100) {
    std::vector<std::string> keys;
    for (int j = 0; j < 100; ++j) keys.push_back(key({static_cast<double>(j)}));
    const std::string value = std::to_string(i);
    kv::AtomicWrite write;
    for (const std::string& one : keys) write.mutations.push_back(test::set_mutation(one, value));
    store_.write(write);
  }
  const Options history = {.name = "test", .moment = {}, .prefix = {}, .history = true};
  const std::vector<std::string> all = entries(history);
  EXPECT_THAT(all, SizeIs(kCommits));
  const auto stamp_of = [](const std::string& line) { return line.substr(line.find("versionstamp"), 40); };
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, stamp_of));
  // Without the past, what is there now is all.
  store_.database().set_retention(Retention::none());
  ASSERT_TRUE(store_.database().flush());
  ASSERT_TRUE(store_.database().compact());
  const std::vector<std::string> rest = entries(history);
  EXPECT_EQ(rest, entries());
  EXPECT_THAT(rest, SizeIs(100));
}

TEST_F(DumpTest, EndsWhenNobodyTakesTheLines) {
  set("a", "1", kv::Encoding::kBytes);
  const auto dumped = dump(
      store_.database(), store_.clock(), {.name = "test", .moment = {}, .prefix = {}},
      [](std::string_view line) {
        return line.find("key") == line.npos ? Status() : fail(ErrorCode::kShutdown, "enough");
      },
      [](uint64_t) { return Status(); });
  ASSERT_FALSE(dumped);
  EXPECT_EQ(dumped.error().message, "enough");
}

TEST_F(DumpTest, DamageIsAnError) {
  store_.put_stored("a", "\xff");
  const auto dumped = dump(
      store_.database(), store_.clock(), {.name = "test", .moment = {}, .prefix = {}},
      [](std::string_view) { return Status(); }, [](uint64_t) { return Status(); });
  ASSERT_FALSE(dumped);
  EXPECT_EQ(dumped.error().code, ErrorCode::kNewerFormat);
}

}  // namespace
}  // namespace tidemark::dump
