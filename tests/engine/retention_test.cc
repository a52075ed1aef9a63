// How long history is kept: by the clock that ages it, by its size, and not at all.
#include "engine/manifest/manifest.h"
#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

constexpr int64_t kHourMs = 3600 * 1000;

class RetentionTest : public WatchedDatabaseTest {
 protected:
  RetentionTest() : WatchedDatabaseTest(true) {}

  static DatabaseOptions options_with(const Retention& retention) {
    DatabaseOptions options = small_options();
    options.retention = retention;
    return options;
  }
  Versionstamp set(const std::string& value) {
    const CommitOutcome outcome = put(db(), "key", value);
    EXPECT_TRUE(outcome.committed) << why(outcome.status);
    return outcome.versionstamp;
  }
  // What key was at a moment; "gone" if that cannot be read any more.
  std::string at(Versionstamp stamp) {
    auto pinned = db().pin(stamp);
    if (!pinned) {
      EXPECT_EQ(pinned.error().code, ErrorCode::kBeyondHorizon);
      return "gone";
    }
    return get(*db().read(**pinned), "key").value_or("nothing");
  }
  void settle() {
    ASSERT_TRUE(db().compact().has_value());
    ASSERT_TRUE(db().compact().has_value());
  }
};

TEST_F(RetentionTest, a_duration_drops_what_is_older_and_nothing_else) {
  open(options_with(Retention::for_ms(10 * kHourMs)));
  std::vector<Versionstamp> hourly;
  for (int hour = 0; hour < 24; ++hour) {
    hourly.push_back(set("hour " + std::to_string(hour)));
    clock_.pass_ms(kHourMs);
    if (hour % 5 == 4) {
      ASSERT_TRUE(db().flush().has_value());
    }
  }
  settle();
  // It is hour 24: what was superseded up to hour 14 may go, what was read at hour 14 and later must not.
  for (int hour = 14; hour < 24; ++hour)
    EXPECT_EQ(at(hourly[static_cast<size_t>(hour)]), "hour " + std::to_string(hour));
  for (int hour = 0; hour < 14; ++hour) EXPECT_EQ(at(hourly[static_cast<size_t>(hour)]), "gone");
  EXPECT_EQ(db().horizon(), hourly[14]);
  EXPECT_EQ(db().stats().history.entries, 9u);
}

TEST_F(RetentionTest, jumps_of_the_wall_clock_age_nothing) {
  open(options_with(Retention::for_ms(10 * kHourMs)));
  const Versionstamp first = set("first");
  clock_.pass_ms(kHourMs);
  const Versionstamp second = set("second");
  const int64_t timestamp_ms = db().head_timestamp_ms();
  settle();
  clock_.jump_wall_ms(1000 * kHourMs);
  settle();
  EXPECT_EQ(at(first), "first");
  clock_.jump_wall_ms(-2000 * kHourMs);
  const Versionstamp third = set("third");
  EXPECT_GT(third, second);
  EXPECT_GE(db().head_timestamp_ms(), timestamp_ms);
  settle();
  EXPECT_EQ(at(first), "first");
  EXPECT_TRUE(logged("the wall clock jumped"));
  clock_.jump_wall_ms(1000 * kHourMs);
  for (int i = 0; i < 5; ++i) {
    clock_.pass_ms(kHourMs);
    settle();
    EXPECT_EQ(at(first), "first");
    EXPECT_EQ(at(second), "second");
  }
}

TEST_F(RetentionTest, a_jump_before_opening_ages_nothing_either) {
  const DatabaseOptions options = options_with(Retention::for_ms(10 * kHourMs));
  open(options);
  const Versionstamp first = set("first");
  clock_.pass_ms(kHourMs);
  set("second");
  settle();
  database_.reset();
  clock_.jump_wall_ms(5000 * kHourMs);
  open(options);
  settle();
  EXPECT_EQ(at(first), "first");
}

TEST_F(RetentionTest, a_jump_before_the_first_flush_ages_nothing_either) {
  const DatabaseOptions options = options_with(Retention::for_ms(10 * kHourMs));
  open(options);
  const Versionstamp first = set("first");
  set("second");
  database_.reset();
  clock_.jump_wall_ms(5000 * kHourMs);
  open(options);
  settle();
  EXPECT_EQ(at(first), "first");
}

// Commits share a timestamp while the clock is behind; time in which they did not exist yet must not age
// them.
TEST_F(RetentionTest, commits_made_while_the_clock_was_set_back_are_not_taken_for_older) {
  open(options_with(Retention::for_ms(10 * kHourMs)));
  set("before");
  settle();
  clock_.jump_wall_ms(-20 * kHourMs);
  clock_.pass_ms(8 * kHourMs);
  const Versionstamp first = set("first");
  set("second");
  clock_.jump_wall_ms(20 * kHourMs);
  clock_.pass_ms(3 * kHourMs);
  settle();
  EXPECT_EQ(at(first), "first");
  clock_.pass_ms(8 * kHourMs);
  set("third");
  settle();
  EXPECT_EQ(at(first), "gone");
}

TEST_F(RetentionTest, a_clock_that_was_wrong_for_one_opening_ages_nothing) {
  const DatabaseOptions options = options_with(Retention::for_ms(10 * kHourMs));
  open(options);
  set("before");
  settle();
  database_.reset();
  clock_.jump_wall_ms(-500 * kHourMs);
  open(options);
  const Versionstamp first = set("first");
  set("second");
  settle();
  database_.reset();
  clock_.jump_wall_ms(500 * kHourMs);
  open(options);
  settle();
  EXPECT_EQ(at(first), "first");
}

TEST_F(RetentionTest, time_that_passes_does_age_history_after_a_jump) {
  open(options_with(Retention::for_ms(2 * kHourMs)));
  const Versionstamp first = set("first");
  clock_.jump_wall_ms(500 * kHourMs);
  settle();
  EXPECT_EQ(at(first), "first");
  clock_.jump_wall_ms(-500 * kHourMs);
  set("second");
  for (int i = 0; i < 8; ++i) {
    clock_.pass_ms(kHourMs);
    settle();
  }
  EXPECT_EQ(at(first), "gone");
}

TEST_F(RetentionTest, stamps_rise_and_times_never_fall_when_the_clock_goes_back) {
  open(options_with(Retention::forever()));
  Versionstamp last;
  int64_t last_ms = 0;
  for (int i = 0; i < 200; ++i) {
    clock_.jump_wall_ms(i % 3 == 0 ? 5000 : -3700);
    const CommitOutcome outcome = put(db(), "key", std::to_string(i));
    ASSERT_TRUE(outcome.committed);
    ASSERT_GT(outcome.versionstamp, last);
    ASSERT_GE(outcome.timestamp_ms, last_ms);
    last = outcome.versionstamp;
    last_ms = outcome.timestamp_ms;
    if (i % 50 == 49) {
      clock_.jump_wall_ms(-1000 * kHourMs);
      open(options_with(Retention::forever()));
      ASSERT_EQ(db().head(), last);
      ASSERT_EQ(db().head_timestamp_ms(), last_ms);
    }
    if (i % 60 == 59) {
      ASSERT_TRUE(db().flush().has_value());
    }
  }
}

TEST_F(RetentionTest, forever_keeps_all_and_none_keeps_the_newest_and_it_can_be_changed) {
  open(options_with(Retention::forever()));
  std::vector<Versionstamp> stamps;
  for (int i = 0; i < 50; ++i) {
    stamps.push_back(set(std::to_string(i)));
    clock_.pass_ms(1000 * kHourMs);
  }
  settle();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(at(stamps[static_cast<size_t>(i)]), std::to_string(i));
  auto pinned = db().pin(stamps[20]);
  ASSERT_TRUE(pinned.has_value());
  db().set_retention(Retention::none());
  settle();
  EXPECT_EQ(db().horizon(), stamps[20]);
  EXPECT_EQ(at(stamps[19]), "gone");
  EXPECT_EQ(at(stamps[20]), "20");
  pinned->reset();
  settle();
  EXPECT_EQ(db().horizon(), stamps[49]);
  EXPECT_EQ(at(stamps[48]), "gone");
  EXPECT_EQ(at(stamps[49]), "49");
  EXPECT_EQ(db().stats().history.entries, 0u);
  db().set_retention(Retention::forever());
  const Versionstamp next = set("next");
  set("newest");
  settle();
  EXPECT_EQ(at(next), "next");
  EXPECT_EQ(at(stamps[49]), "49");
}

TEST_F(RetentionTest, a_ceiling_in_bytes_takes_the_oldest_first) {
  DatabaseOptions options = options_with(Retention::forever());
  options.compression = false;
  options.history_max_bytes = 100'000;
  open(options);
  std::vector<Versionstamp> stamps;
  std::vector<std::string> values;
  for (int i = 0; i < 1500; ++i) {
    values.push_back(std::to_string(i) + std::string(300, 'v'));
    stamps.push_back(set(values.back()));
    clock_.pass_ms(10);
  }
  settle();
  EXPECT_LE(db().stats().history.bytes, 200'000u);
  EXPECT_GE(db().stats().history.bytes, 20'000u);
  EXPECT_TRUE(logged("exceeds its ceiling"));
  size_t first = 0;
  while (first < stamps.size() && stamps[first] < db().horizon()) ++first;
  EXPECT_GT(first, 500u);
  EXPECT_LT(first, 1450u);
  for (size_t i = 0; i < stamps.size(); ++i) ASSERT_EQ(at(stamps[i]), i < first ? "gone" : values[i]) << i;
}

TEST_F(RetentionTest, a_ceiling_set_later_trims_what_is_there) {
  open(small_options());
  std::vector<Versionstamp> stamps;
  for (int i = 0; i < 1000; ++i) {
    stamps.push_back(set(std::to_string(i) + std::string(300, 'v')));
    clock_.pass_ms(10);
  }
  settle();
  const uint64_t before = db().stats().history.bytes;
  ASSERT_GT(before, 40'000u);
  db().set_history_max_bytes(before / 2);
  settle();
  EXPECT_LE(db().stats().history.bytes, before * 3 / 4);
  EXPECT_GT(db().stats().history.bytes, 0u);
  EXPECT_TRUE(logged("exceeds its ceiling"));
  db().set_history_max_bytes(0);
  settle();
  EXPECT_EQ(db().stats().history.bytes, 0u);
  // The head is untouched.
  EXPECT_EQ(at(stamps.back()), "999" + std::string(300, 'v'));
  EXPECT_EQ(at(stamps[998]), "gone");
}

// What is dropped lies below a horizon that power loss cannot take back.
TEST_F(RetentionTest, the_horizon_is_durable_before_anything_below_it_is_dropped) {
  open(options_with(Retention::none()));
  std::vector<Versionstamp> stamps;
  const std::string lost = folder_ / "lost";
  for (int i = 0; i < 400; ++i) {
    stamps.push_back(set(std::to_string(i) + std::string(200, 'v')));
    if (i % 25 != 24) continue;
    ASSERT_TRUE(db().wait_idle().has_value());
    std::filesystem::remove_all(lost);
    fs_.write_power_loss(dir_, lost);
    auto engine = Engine::create({});
    auto opened = Database::open(*engine, lost, options_with(Retention::forever()));
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    for (size_t s = 0; s < stamps.size(); ++s) {
      auto pinned = (*opened)->pin(stamps[s]);
      if (!pinned) continue;
      const auto found = get(*(*opened)->read(**pinned), "key");
      ASSERT_TRUE(found.has_value()) << s;
      ASSERT_TRUE(found->starts_with(std::to_string(s) + "v")) << s << ": " << found->substr(0, 8);
    }
  }
  EXPECT_GT(db().horizon(), stamps.front());
}

TEST(manifest_state, the_horizon_never_goes_back) {
  ManifestState state;
  ManifestEdit edit;
  edit.horizon = Versionstamp{9, 0};
  edit.retention_clock_ms = 9;
  ASSERT_TRUE(state.apply(edit).has_value());
  edit.horizon = Versionstamp{8, 0};
  edit.retention_clock_ms = 8;
  ASSERT_TRUE(state.apply(edit).has_value());
  EXPECT_EQ(state.horizon, (Versionstamp{9, 0}));
  EXPECT_EQ(state.retention_clock_ms, 9);
}

}  // namespace
}  // namespace tidemark
