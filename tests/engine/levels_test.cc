// A store of several levels under a cache much smaller than it, every key overwritten many times.
#include <vector>

#include "tests/engine/database_test.h"

namespace tidemark {
namespace {

struct Moment {
  Versionstamp stamp;
  KeyValues values;
};

TEST(LevelsTest, moments_read_back_before_and_after_merges_under_a_small_cache) {
  constexpr uint64_t kCacheBytes = 256 << 10;
  constexpr int kKeys = 4000, kOverwrites = 12, kMoments = 10;
  TemporaryFolder folder;
  auto engine = Engine::create({.block_cache_bytes = kCacheBytes, .max_open_segments = 12});
  DatabaseOptions options = small_options();
  options.memtable_bytes = 64 << 10;
  options.segment_bytes = 64 << 10;
  options.level1_bytes = 128 << 10;
  auto opened = Database::open(*engine, folder / "db", options);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  Database& db = **opened;

  Random random(20261121);
  KeyValues now;
  std::vector<Moment> moments;
  std::vector<std::shared_ptr<Snapshot>> pins;
  const auto key = [](uint64_t i) { return "tenant/0001/item/" + std::to_string(100000 + i); };
  const uint64_t writes = uint64_t{kKeys} * kOverwrites;
  for (uint64_t i = 0; i < writes; ++i) {
    const std::string k = key(i < kKeys ? i : random.below(kKeys));
    CommitOutcome outcome;
    if (i >= kKeys && random.one_in(10)) {
      outcome = erase(db, k);
      now.erase(k);
    } else {
      std::string value(100 + random.below(400), '\0');
      for (char& c : value) c = static_cast<char>(random.next());
      outcome = put(db, k, value);
      now[k] = std::move(value);
    }
    ASSERT_TRUE(outcome.committed);
    if (i > kKeys && moments.size() < kMoments && random.one_in((writes - kKeys) / kMoments / 2))
      moments.push_back({outcome.versionstamp, now});
  }
  ASSERT_EQ(moments.size(), static_cast<size_t>(kMoments));

  const auto compare = [&](const ReadView& view, const KeyValues& expected) {
    const std::vector<std::pair<std::string, std::string>> forward(expected.begin(), expected.end());
    ASSERT_TRUE(scan(view) == forward);
    for (int i = 0; i < 200; ++i) {
      const std::string k = key(random.below(kKeys));
      const auto it = expected.find(k);
      ASSERT_TRUE(get(view, k) == (it == expected.end() ? std::nullopt : std::optional(it->second))) << k;
    }
  };
  const auto compare_all = [&] {
    compare(*db.read(), now);
    for (const Moment& moment : moments) {
      SCOPED_TRACE(moment.stamp.hex());
      auto pin = db.pin(moment.stamp);
      ASSERT_TRUE(pin.has_value());
      compare(*db.read(**pin), moment.values);
    }
  };
  ASSERT_TRUE(db.flush().has_value());
  DatabaseStats stats = db.stats();
  int levels = 0;
  uint64_t live_bytes = 0;
  for (const LevelStats& level : stats.live) {
    levels += level.segments > 0;
    live_bytes += level.bytes;
  }
  EXPECT_GE(levels, 3);
  EXPECT_GE(live_bytes, 4 * kCacheBytes);
  EXPECT_GT(stats.history.bytes, live_bytes);
  compare_all();
  ASSERT_TRUE(db.compact().has_value());
  EXPECT_GT(db.stats().compactions, stats.compactions);
  compare_all();
}

// It is written there beside other merges, which must not have gone there meanwhile.
TEST(LevelsTest, merges_leave_the_deepest_level_to_what_is_shared) {
  TemporaryFolder folder;
  auto engine = Engine::create({});
  DatabaseOptions options = small_options();
  options.segment_bytes = 4 << 10;
  options.level1_bytes = 1 << 10;
  options.level_multiplier = 2;
  Random random(7);
  const auto write = [&](Database& db, int count) {
    for (int i = 0; i < count; ++i) {
      std::string value(1000, '\0');
      for (char& c : value) c = static_cast<char>(random.next());
      ASSERT_TRUE(put(db, "key" + std::to_string(random.next()), value).committed);
    }
    ASSERT_TRUE(db.flush().has_value());
    ASSERT_TRUE(db.wait_idle().has_value());
  };
  const std::string fork = folder / "fork";
  {
    auto opened = Database::open(*engine, folder / "db", options);
    ASSERT_TRUE(opened.has_value());
    write(**opened, 600);
    ASSERT_GT((*opened)->stats().live.back().bytes, 0u);  // so much goes to the deepest level
    ASSERT_TRUE((*opened)->fork(fork, (*opened)->head()).has_value());
  }
  auto opened = Database::open(*engine, fork, options);
  ASSERT_TRUE(opened.has_value());
  write(**opened, 100);
  const DatabaseStats stats = (*opened)->stats();
  EXPECT_GT(stats.shared.bytes, 0u);
  EXPECT_EQ(stats.live.back().segments, 0u);
  EXPECT_GT(stats.live[stats.live.size() - 2].segments, 0u);
  ASSERT_TRUE((*opened)->compact().has_value());
  EXPECT_EQ((*opened)->stats().shared.segments, 0u);
  EXPECT_EQ(scan(*(*opened)->read()).size(), 700u);
}

}  // namespace
}  // namespace tidemark
