// What a database and its engine tell of themselves.
#include "tests/engine/failure_test.h"

namespace tidemark {
namespace {

using Op = WatchingFileSystem::Op;

TEST(HistogramTest, counts_by_powers_of_two_and_sums_exactly) {
  Histogram histogram;
  for (const uint64_t value : {0, 1, 2, 3, 4, 5, 1024, 1025}) histogram.add(value);
  histogram.add(UINT64_MAX / 2);
  const HistogramCounts read = histogram.read();
  EXPECT_EQ(read.counts[0], 2u);
  EXPECT_EQ(read.counts[1], 1u);
  EXPECT_EQ(read.counts[2], 2u);
  EXPECT_EQ(read.counts[3], 1u);
  EXPECT_EQ(read.counts[10], 1u);
  EXPECT_EQ(read.counts[11], 1u);
  EXPECT_EQ(read.counts[HistogramCounts::kBuckets - 1], 1u);
  EXPECT_EQ(read.count(), 9u);
  EXPECT_EQ(read.sum, 2064u + UINT64_MAX / 2);
  HistogramCounts twice = read;
  twice += read;
  EXPECT_EQ(twice.count(), 18u);
  EXPECT_EQ(twice.sum, 4128u + 2 * (UINT64_MAX / 2));
}

class StatisticsTest : public DatabaseTest {};

TEST_F(StatisticsTest, groups_and_syncs_are_counted_one_by_one) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(put(db(), "k" + std::to_string(i), "v").committed);
  const DatabaseStats stats = db().stats();
  EXPECT_EQ(stats.commits, 10u);
  EXPECT_EQ(stats.commit_groups, 10u);
  EXPECT_EQ(stats.group_commits.count(), stats.commit_groups);
  EXPECT_EQ(stats.group_commits.sum, stats.commits);
  EXPECT_EQ(stats.syncs, 10u);
  EXPECT_EQ(stats.sync_us.count(), stats.syncs);
}

TEST_F(StatisticsTest, flushes_and_merges_tell_what_they_read_and_wrote) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(put(db(), "k" + std::to_string(i), "a value").committed);
    ASSERT_TRUE(db().flush().has_value());
  }
  DatabaseStats stats = db().stats();
  EXPECT_EQ(stats.flushes, 3u);
  ASSERT_EQ(stats.compactions, 0u);
  EXPECT_EQ(stats.flush_written_bytes, stats.live[0].bytes + stats.history.bytes);
  ASSERT_TRUE(db().compact().has_value());
  stats = db().stats();
  EXPECT_GT(stats.compactions, 0u);
  EXPECT_GT(stats.compaction_written_bytes, 0u);
  // Nothing was there to be merged but what flushes and merges had written.
  EXPECT_GT(stats.compaction_read_bytes, stats.live[0].bytes);
  EXPECT_LE(stats.compaction_read_bytes, stats.flush_written_bytes + stats.compaction_written_bytes);
}

TEST_F(StatisticsTest, the_cache_counts_what_it_had_and_what_it_had_not) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(put(db(), "k", "v").committed);
  ASSERT_TRUE(db().flush().has_value());
  const EngineStats before = engine_->stats();
  EXPECT_EQ(before.block_cache_capacity_bytes, uint64_t{1} << 20);
  ASSERT_EQ(get(*db().read(), "k"), "v");
  const EngineStats first = engine_->stats();
  EXPECT_EQ(first.block_cache_misses, before.block_cache_misses + 1);
  EXPECT_GT(first.block_cache_bytes, 0u);
  EXPECT_GT(first.index_bytes, 0u);
  EXPECT_EQ(first.open_segments, 1u);
  ASSERT_EQ(get(*db().read(), "k"), "v");
  const EngineStats second = engine_->stats();
  EXPECT_EQ(second.block_cache_misses, first.block_cache_misses);
  EXPECT_EQ(second.block_cache_hits, first.block_cache_hits + 1);
}

TEST_F(StatisticsTest, a_scan_that_goes_once_through_sees_all_and_leaves_the_cache_alone) {
  open(small_options());
  for (int i = 0; i < 3000; ++i) put(db(), "key/" + std::to_string(10'000 + i % 1000), std::string(100, 'v'));
  ASSERT_TRUE(db().flush().has_value());
  ASSERT_TRUE(get(*db().read(), "key/10500").has_value());
  const EngineStats before = engine_->stats();
  const auto view = db().read();
  const auto cursor = view->scan({.start = "key/10001", .end = "key/10999"}, {.once_through = true});
  int seen = 1;
  for (;; ++seen) {
    const auto more = cursor->next();
    ASSERT_TRUE(more.has_value());
    if (!*more) break;
    EXPECT_EQ(cursor->key(), "key/" + std::to_string(10'000 + seen));
  }
  EXPECT_EQ(seen, 999);
  const EngineStats after = engine_->stats();
  EXPECT_EQ(after.block_cache_hits, before.block_cache_hits);
  EXPECT_EQ(after.block_cache_misses, before.block_cache_misses);
  EXPECT_GT(before.block_cache_bytes, 0u);
}

TEST_F(StatisticsTest, the_horizon_has_an_age_once_it_has_moved) {
  DatabaseOptions options = small_options();
  ASSERT_NO_FATAL_FAILURE(open(options));
  EXPECT_FALSE(db().stats().horizon_age_us.has_value());
  ASSERT_TRUE(put(db(), "k", "1").committed);
  ASSERT_TRUE(put(db(), "k", "2").committed);
  db().set_retention(Retention::none());
  ASSERT_TRUE(db().compact().has_value());
  ASSERT_GT(db().horizon(), Versionstamp::min());
  const auto age_us = db().stats().horizon_age_us;
  ASSERT_TRUE(age_us.has_value());
  EXPECT_GE(*age_us, 0);
  EXPECT_LT(*age_us, int64_t{3600} * 1'000'000);
  EXPECT_EQ(versionstamp_unix_us({uint64_t{3} << 56 | 1234, 0}), 1234);
  EXPECT_FALSE(versionstamp_unix_us({1234, 5}).has_value());
}

class WriteStatusTest : public FailureTest {};

TEST_F(WriteStatusTest, tells_of_a_failed_sync_and_of_being_closed) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(put(db(), "k", "1").committed);
  EXPECT_TRUE(db().write_status().has_value());
  fs_.fail(Op::kSync, ".wal", ErrorCode::kIo, 0, 1);
  EXPECT_FALSE(put(db(), "k", "2").committed);
  const Status failed = db().write_status();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kReadOnly);
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_TRUE(db().write_status().has_value());
  ASSERT_TRUE(db().close().has_value());
  const Status closed = db().write_status();
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error().code, ErrorCode::kShutdown);
}

}  // namespace
}  // namespace tidemark
