#include "server/dump/load.h"

#include <gmock/gmock.h>

#include "engine/base/random.h"
#include "server/dump/dump.h"
#include "server/kv/tuple_key.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::dump {
namespace {

using test::Entry;
using test::TestStore;

constexpr char kHeader[] =
    R"({"tidemark":"dump","format":1,"database":"x","versionstamp":"00000000000000000000","time":"2023-11-14T22:13:20.000Z"})";

class LoadTest : public ::testing::Test {
 protected:
  Result<LoadedBatch> load(const std::vector<std::string>& lines, uint64_t first_line = 1) {
    return load_batch(store_.store(), lines, first_line, first_line == 1);
  }
  std::string refusal(const std::vector<std::string>& lines, uint64_t first_line = 1) {
    const auto loaded = load(lines, first_line);
    return loaded ? "loaded" : loaded.error().message;
  }
  static std::string key(const char* text) { return kv::encode_key({std::string(text)}).value(); }
  uint64_t count() { return store_.count_engine_keys('u'); }

  TestStore store_;
};

TEST_F(LoadTest, PlainLines) {
  const auto loaded =
      load({R"({"key":["a"],"value":{"x":[1,"y"]}})", "", "  ", R"({"value":null,"key":["b",1]})"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->counts, (Counts{2, 0}));
  EXPECT_EQ(loaded->transactions, 1u);
  EXPECT_FALSE(loaded->header);
  EXPECT_FALSE(loaded->end);
  const auto a = store_.get(key("a"));
  ASSERT_TRUE(a);
  EXPECT_EQ(a->encoding, kv::Encoding::kV8);
  EXPECT_EQ(a->data, std::string("\xff\x0fo\"\x01xA\x02I\x02\"\x01y$\x00\x02{\x01", 18));
  EXPECT_EQ(a->versionstamp, loaded->versionstamp);
  EXPECT_EQ(store_.get(kv::encode_key({std::string("b"), 1.0}).value())->data, "\xff\x0f\x30");
}

TEST_F(LoadTest, LinesAreAppliedInTheirOrder) {
  const auto loaded =
      load({R"({"key":["a"],"value":1})", R"({"key":["a"],"value":2})", R"({"key":["b"],"value":1})",
            R"({"key":["b"],"deleted":true,"versionstamp":"00000000000000000001"})"});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->counts, (Counts{3, 1}));
  EXPECT_EQ(store_.get(key("a"))->data, "\xff\x0fI\x04");
  EXPECT_FALSE(store_.get(key("b")));
}

TEST_F(LoadTest, RawGoesBeforeTheValue) {
  ASSERT_TRUE(load(
      {R"({"key":["a"],"value":{"$no":"form"},"raw":"/w9VAQ=="})", R"({"key":["b"],"value":true,"v8":16})"}));
  EXPECT_EQ(store_.get(key("a"))->data, "\xff\x0fU\x01");
  EXPECT_EQ(store_.get(key("b"))->data, "\xff\x10T");
}

TEST_F(LoadTest, Expiry) {
  ASSERT_TRUE(load({R"({"key":["a"],"value":1,"expireAt":"2023-11-14T22:13:20.001Z"})",
                    R"({"key":["b"],"value":1,"expireAt":1700000000002})",
                    R"({"key":["c"],"value":1,"expireAt":"1969-01-01T00:00:00Z"})"}));
  EXPECT_TRUE(store_.get(key("a")) && store_.get(key("b")));
  EXPECT_FALSE(store_.get(key("c")));
  EXPECT_EQ(store_.count_engine_keys('e'), 3u);
  store_.clock().set_ms(1'700'000'000'001);
  EXPECT_FALSE(store_.get(key("a")));
  EXPECT_TRUE(store_.get(key("b")));
}

TEST_F(LoadTest, WatchersAreTold) {
  struct Watcher final : kv::WatchHub::Watcher {
    void changed() override { ++times; }
    std::atomic<int> times{0};
  } watcher;
  const std::vector<std::string> keys = {key("a")};
  store_.store().watch_hub().add(watcher, keys);
  ASSERT_TRUE(load({R"({"key":["a"],"value":1})", R"({"key":["b"],"value":1})"}));
  store_.store().watch_hub().remove(watcher, keys);
  EXPECT_EQ(watcher.times, 1);
}

TEST_F(LoadTest, ABadLineIsNamedAndNothingOfItsBatchIsWritten) {
  const std::string good = R"({"key":["good"],"value":1})";
  const std::string long_text(70'000, 'x');
  for (const auto& [line, why] : std::vector<std::pair<std::string, std::string>>{
           {"x", "it is no JSON: syntax error at byte 1"},
           {R"({"key":["a"],"value":)", "it is cut short"},
           {"[1]", "it is no JSON object"},
           {"{}", "it has no key"},
           {R"({"key":"a","value":1})", "a key is neither an array nor a $raw"},
           {R"({"key":["a"]})", "it has no value"},
           {R"({"key":["a"],"value":1,"expireat":5})",
            "it has the member 'expireat', which means nothing there"},
           {R"({"key":["a"],"value":1,"expireAt":"soon"})",
            "its expireAt is neither a time nor a number of milliseconds"},
           {R"({"key":["a"],"value":1,"expireAt":1.5})",
            "its expireAt is neither a time nor a number of milliseconds"},
           {R"({"key":["a"],"value":{"$oid":1}})",
            "an object has the key '$oid', which is no tag; an object with such a key is written as "
            "{\"$object\":[[key,value],...]}"},
           {R"({"key":["a"],"value":1,"raw":"?"})", "its raw is not base64"},
           {R"({"key":["a"],"value":1,"v8":12})",
            "version 12 of V8's format cannot be written, only 13 to 16"},
           {R"({"key":["a"],"value":1,"v8":"15"})", "its v8 is no version"},
           {R"({"key":["a"],"deleted":false})", "its deleted is not true"},
           {R"({"key":["a"],"deleted":true,"value":1})", "it has members that do not go together"},
           {R"({"tidemark":"other"})", "it says that it is neither the first nor the last line of a dump"},
           {R"({"tidemark":1})", "it says that it is neither the first nor the last line of a dump"},
           {R"({"tidemark":"dump"})", "it begins a dump, but does not say of which format"},
           {R"({"tidemark":"dump","format":2,"new":1})",
            "the dump is of format 2, and this program reads up to 1"},
           {kHeader, "another dump begins here: for one of all databases there is --all"},
           {R"({"key":[")" + long_text.substr(0, 2047) + R"("],"value":1})",
            "A key exceeds the key size limit."},
           {R"({"key":["a"],"value":")" + long_text + R"("})", "A value exceeds the value size limit."}}) {
    EXPECT_EQ(refusal({good, line}, 7), "line 8: " + why) << line.substr(0, 100);
  }
  EXPECT_EQ(refusal({good, R"({"tidemark":"end","entries":1})", "", good}),
            "line 4: there is more behind the last line of the dump");
  EXPECT_EQ(count(), 0u);
  EXPECT_EQ(load({"x"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(load({R"({"tidemark":"dump","format":2})"}).error().code, ErrorCode::kNewerFormat);
}

TEST_F(LoadTest, TheFrameOfADump) {
  const auto loaded =
      load({kHeader, R"({"key":["a"],"value":1})", R"({"tidemark":"end","entries":5,"deletions":2})"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(loaded->header);
  EXPECT_EQ(loaded->end, (Counts{5, 2}));
  EXPECT_EQ(loaded->counts, (Counts{1, 0}));
}

TEST_F(LoadTest, AsManyWritesAsTheLimitsAskFor) {
  std::vector<std::string> lines;
  for (int i = 0; i < 1001; ++i) lines.push_back(R"({"key":[)" + std::to_string(i) + R"(],"value":1})");
  EXPECT_EQ(load(lines)->transactions, 2u);
  lines.clear();
  const std::string text(65'000, 'x');
  for (int i = 0; i < 30; ++i)
    lines.push_back(R"({"key":[)" + std::to_string(i) + R"(],"value":")" + text + R"("})");
  EXPECT_EQ(load(lines)->transactions, 3u);
  EXPECT_EQ(count(), 1001u);
  EXPECT_EQ(load({})->transactions, 0u);
}

// Random stores: dumped, loaded, dumped again.
TEST_F(LoadTest, WhatWasDumpedComesBack) {
  Random random(7);
  kv::AtomicWrite write;
  std::vector<std::string> bytes;
  for (int i = 0; i < 600; ++i)
    bytes.push_back(std::string(random.below(20), static_cast<char>(random.next())));
  for (std::string& one : bytes)
    for (char& byte : one) byte = static_cast<char>(random.next());
  for (size_t i = 0; i < bytes.size(); i += 2) {
    if (random.one_in(2)) bytes[i + 1] = "\xff\x0f" + bytes[i + 1];
    kv::Mutation mutation = test::set_mutation(bytes[i], bytes[i + 1],
                                               random.one_in(2) ? kv::Encoding::kBytes : kv::Encoding::kV8);
    if (random.one_in(3))
      mutation.expire_at_ms = 1'800'000'000'000 + static_cast<int64_t>(random.below(1000));
    write.mutations.push_back(mutation);
  }
  store_.write(write);
  const auto dump_of = [](TestStore& store) {
    std::vector<std::string> lines;
    EXPECT_TRUE(dump(
        store.database(), store.clock(), {.name = "x", .moment = {}, .prefix = {}},
        [&](std::string_view line) {
          lines.emplace_back(line);
          return Status();
        },
        [](uint64_t) { return Status(); }));
    return lines;
  };
  const std::vector<std::string> lines = dump_of(store_);
  ASSERT_GT(lines.size(), 200u);
  TestStore other;
  const auto loaded = load_batch(other.store(), lines, 1, true);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->end, loaded->counts);
  const std::vector<Entry> before = store_.read({"", "\xff\xff", 1000, false});
  const std::vector<Entry> after = other.read({"", "\xff\xff", 1000, false});
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].key, after[i].key);
    EXPECT_EQ(before[i].data, after[i].data);
    EXPECT_EQ(before[i].encoding, after[i].encoding);
  }
  const auto without_stamps = [](std::vector<std::string> lines) {
    for (std::string& line : lines)
      if (const size_t at = line.find("\"versionstamp\":"); at != line.npos) line.erase(at, 38);
    return lines;
  };
  EXPECT_EQ(without_stamps(dump_of(other)), without_stamps(lines));
}

}  // namespace
}  // namespace tidemark::dump
