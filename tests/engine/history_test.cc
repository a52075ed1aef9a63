// Random histories against a model that keeps every state, through flushes, merges and reopenings.
#include <vector>

#include "tests/engine/database_test.h"

namespace tidemark {
namespace {

struct Model {
  struct State {
    Versionstamp stamp;
    KeyValues values;
  };
  std::vector<State> states;
};

class HistoryTest : public DatabaseTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  std::string key(uint64_t i) { return "key/" + std::to_string(i); }

  void random_commits(int count, uint64_t keys) {
    for (int i = 0; i < count; ++i) {
      KeyValues next = states_.empty() ? KeyValues() : states_.back().values;
      const int writes = static_cast<int>(random_.below(6));
      const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
        for (int w = 0; w < writes; ++w) {
          const std::string k = key(random_.below(keys));
          if (random_.one_in(4)) {
            t.erase(k);
            next.erase(k);
          } else {
            const std::string v(random_.below(200), static_cast<char>('a' + random_.below(26)));
            t.put(k, v);
            next[k] = v;
          }
        }
        return CommitRequest::Decision::kCommit;
      });
      ASSERT_TRUE(outcome.status.has_value()) << outcome.status.error().message;
      ASSERT_TRUE(outcome.committed);
      if (!states_.empty()) {
        ASSERT_GT(outcome.versionstamp, states_.back().stamp);
      }
      states_.push_back({outcome.versionstamp, std::move(next)});
    }
  }

  void compare(const ReadView& view, const KeyValues& expected, uint64_t keys) {
    std::vector<std::pair<std::string, std::string>> forward(expected.begin(), expected.end());
    ASSERT_EQ(scan(view), forward);
    std::vector<std::pair<std::string, std::string>> backward(forward.rbegin(), forward.rend());
    ASSERT_EQ(scan(view, {.start = {}, .end = {}, .reverse = true}), backward);
    for (int i = 0; i < 20; ++i) {
      const std::string k = key(random_.below(keys));
      const auto it = expected.find(k);
      ASSERT_EQ(get(view, k), it == expected.end() ? std::nullopt : std::optional(it->second)) << k;
    }
    std::string from = key(random_.below(keys)), to = key(random_.below(keys));
    std::vector<std::pair<std::string, std::string>> part;
    for (const auto& [k, v] : expected)
      if (k >= from && k < to) part.emplace_back(k, v);
    ASSERT_EQ(scan(view, {.start = from, .end = to}), part);
    std::reverse(part.begin(), part.end());
    ASSERT_EQ(scan(view, {.start = from, .end = to, .reverse = true}), part);
  }

  void compare_moments(int moments, uint64_t keys) {
    compare(*db().read(), states_.back().values, keys);
    for (int i = 0; i < moments; ++i) {
      const auto& state = states_[random_.below(states_.size())];
      auto snapshot = db().pin(state.stamp);
      ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
      SCOPED_TRACE(state.stamp.hex());
      compare(*db().read(**snapshot), state.values, keys);
    }
  }

  Random random_{GetParam()};
  std::vector<Model::State> states_;
};

TEST_P(HistoryTest, every_moment_reads_back_through_merges_and_reopenings) {
  const uint64_t keys = 20 + random_.below(300);
  DatabaseOptions options = small_options();
  if (random_.one_in(3)) options.compression = false;
  if (random_.one_in(3)) options.filter_bits_per_key = 0;
  open(options);
  for (int round = 0; round < 8; ++round) {
    random_commits(400, keys);
    compare_moments(6, keys);
    switch (random_.below(5)) {
      case 0:
        open(options);
        break;
      case 1:
        ASSERT_TRUE(db().flush().has_value());
        break;
      case 2:
        ASSERT_TRUE(db().wait_idle().has_value());
        break;
      case 3:
        ASSERT_TRUE(db().compact().has_value());
        break;
      default:
        break;
    }
    compare_moments(6, keys);
  }
  ASSERT_TRUE(db().compact().has_value());
  compare_moments(40, keys);
  const DatabaseStats stats = db().stats();
  EXPECT_GT(stats.history.segments, 0u);
  open(options);
  compare_moments(40, keys);
}

TEST_P(HistoryTest, without_history_head_stays_right_and_old_versions_go) {
  const uint64_t keys = 20 + random_.below(300);
  DatabaseOptions options = small_options();
  options.retention = Retention::none();
  open(options);
  for (int round = 0; round < 6; ++round) {
    random_commits(500, keys);
    auto pinned = db().pin_head();
    const KeyValues at_pin = states_.back().values;
    random_commits(300, keys);
    if (random_.one_in(2)) {
      ASSERT_TRUE(db().compact().has_value());
    }
    compare(*db().read(), states_.back().values, keys);
    compare(*db().read(*pinned), at_pin, keys);
    if (random_.one_in(3)) {
      pinned.reset();
      open(options);
      compare(*db().read(), states_.back().values, keys);
    }
  }
  ASSERT_TRUE(db().compact().has_value());
  ASSERT_TRUE(db().compact().has_value());
  EXPECT_EQ(db().stats().history.segments, 0u);
  EXPECT_FALSE(db().pin(states_.front().stamp).has_value());
  uint64_t entries = 0;
  for (const LevelStats& level : db().stats().live) entries += level.entries;
  EXPECT_EQ(entries, states_.back().values.size());
}

INSTANTIATE_TEST_SUITE_P(seeds, HistoryTest, ::testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace tidemark
