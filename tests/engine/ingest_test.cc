// The second entrance: finished segments with stamps given from outside.
#include <set>
#include <thread>

#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

class IngestTest : public DatabaseTest {
 protected:
  static Versionstamp stamp(uint64_t i) { return {uint64_t{100} << 56 | i, static_cast<uint16_t>(i % 3)}; }
};

TEST_F(IngestTest, publishes_versions_all_at_once_and_survives_a_restart) {
  open(small_options());
  for (int i = 0; i < 300; ++i) put(db(), "own/" + std::to_string(i), "before");
  put(db(), "in/5", "older");
  const Versionstamp before = db().head();
  auto old_view = db().read();

  auto ingest = db().begin_ingest();
  for (int i = 0; i < 10; ++i) {
    const std::string key = "in/" + std::to_string(i);
    if (i == 7) {
      ASSERT_TRUE(ingest->add(key, stamp(40), std::nullopt).has_value());
    } else {
      ASSERT_TRUE(ingest->add(key, stamp(30), "new").has_value());
    }
    ASSERT_TRUE(ingest->add(key, stamp(20), "old").has_value());
  }
  put(db(), "in/6", "committed while it was prepared");
  const CommitOutcome outcome = ingest->publish({stamp(50), db().head_timestamp_ms() + 5});
  ASSERT_TRUE(outcome.status.has_value()) << outcome.status.error().message;
  ASSERT_TRUE(outcome.committed);
  EXPECT_EQ(db().head(), stamp(50));
  EXPECT_EQ(get(*old_view, "in/5"), "older");

  put(db(), "in/8", "after");
  const Versionstamp last = db().head();
  EXPECT_GT(last, stamp(50));
  for (int reopened = 0; reopened < 3; ++reopened) {
    SCOPED_TRACE(reopened);
    auto head = db().read();
    EXPECT_EQ(get(*head, "own/299"), "before");
    EXPECT_EQ(get(*head, "in/5"), "new");
    EXPECT_EQ(get(*head, "in/6"), "new");
    EXPECT_EQ(get(*head, "in/7"), std::nullopt);
    EXPECT_EQ(get(*head, "in/8"), "after");
    EXPECT_EQ(scan(*head, {.start = "in/", .end = "in0"}).size(), 9u);
    auto at_25 = db().read(**db().pin(stamp(25)));
    EXPECT_EQ(get(*at_25, "in/5"), "old");
    EXPECT_EQ(get(*at_25, "in/7"), "old");
    EXPECT_EQ(get(*at_25, "in/8"), "old");
    auto at_before = db().read(**db().pin(before));
    EXPECT_EQ(get(*at_before, "in/5"), "older");
    EXPECT_EQ(get(*at_before, "in/4"), std::nullopt);
    if (reopened == 1) {
      ASSERT_TRUE(db().compact().has_value());
    }
    head.reset();
    open(small_options());
    EXPECT_EQ(db().head(), last);
  }
}

TEST_F(IngestTest, refuses_what_is_not_newer_than_the_head_and_leaves_no_files) {
  open(small_options());
  put(db(), "a", "1");
  auto ingest = db().begin_ingest();
  ASSERT_TRUE(ingest->add("a", {5, 0}, "x").has_value());
  EXPECT_FALSE(ingest->add("a", {6, 0}, "out of order").has_value());
  const CommitOutcome outcome = ingest->publish({{5, 0}, db().head_timestamp_ms()});
  ASSERT_FALSE(outcome.status.has_value());
  EXPECT_EQ(outcome.status.error().code, ErrorCode::kInvalidArgument);
  ingest.reset();
  EXPECT_EQ(get(*db().read(), "a"), "1");
  EXPECT_TRUE(put(db(), "b", "2").status.has_value());
  const auto names = engine_->file_system().list_dir(folder_ / "db");
  ASSERT_TRUE(names.has_value());
  // What was committed before was flushed.
  EXPECT_EQ(std::ranges::count_if(*names, [](const auto& name) { return name.ends_with(".seg"); }), 1);
  EXPECT_EQ(std::ranges::count_if(*names, [](const auto& name) { return name.ends_with(".chg"); }), 1);
}

TEST_F(IngestTest, later_parts_lie_above_the_parts_before) {
  open(small_options());
  auto ingest = db().begin_ingest();
  ASSERT_TRUE(ingest->add("a", stamp(30), "first part").has_value());
  ASSERT_TRUE(ingest->add("b", stamp(20), "first part").has_value());
  ASSERT_TRUE(ingest->begin_part().has_value());
  // It would stand beneath the first part, which has something newer.
  EXPECT_FALSE(ingest->add("b", stamp(25), "second part").has_value());
  ASSERT_TRUE(ingest->add("b", stamp(31), "second part").has_value());
  EXPECT_FALSE(ingest->add("b", stamp(30), "an older version").has_value());
  ASSERT_TRUE(ingest->publish({stamp(40), 5}).committed);
  EXPECT_EQ(get(*db().read(), "b"), "second part");
  EXPECT_EQ(get(*db().read(**db().pin(stamp(30))), "b"), "first part");
}

TEST_F(IngestTest, is_completed_when_nothing_can_come_in_between) {
  open(small_options());
  put(db(), "counter", "before");
  auto ingest = db().begin_ingest();
  CommitPoint seen;
  const CommitOutcome outcome = ingest->publish(
      [&](const CommitPoint& head, const CommitPoint& next) -> Result<std::optional<CommitPoint>> {
        seen = head;
        EXPECT_EQ(db().read()->versionstamp(), head.stamp);
        EXPECT_EQ(get(*db().read(), "counter"), "before");
        TM_TRY(ingest->add("counter", next.stamp, "at the last moment"));
        return next;
      });
  ASSERT_TRUE(outcome.committed);
  EXPECT_GT(outcome.versionstamp, seen.stamp);
  EXPECT_EQ(get(*db().read(), "counter"), "at the last moment");
  auto nothing = db().begin_ingest();
  const CommitOutcome none =
      nothing->publish([](const CommitPoint&, const CommitPoint&) -> Result<std::optional<CommitPoint>> {
        return std::nullopt;
      });
  EXPECT_TRUE(none.status.has_value());
  EXPECT_FALSE(none.committed);
  EXPECT_EQ(db().head(), outcome.versionstamp);
}

TEST_F(IngestTest, stands_in_history_by_its_stamps) {
  open(small_options());
  const Versionstamp before = put(db(), "own", "1").versionstamp;
  auto ingest = db().begin_ingest();
  ASSERT_TRUE(ingest->add("a", stamp(30), "x").has_value());
  ASSERT_TRUE(ingest->add("b", stamp(10), std::nullopt).has_value());
  ASSERT_TRUE(ingest->add("c", stamp(30), "x").has_value());
  ASSERT_TRUE(ingest->publish({stamp(31), db().head_timestamp_ms() + 7}).committed);
  struct Told final : HistoryVisitor {
    bool on_commit(const CommitPoint& commit, uint32_t writes) override {
      text += commit.stamp.hex() + " " + std::to_string(writes);
      return true;
    }
    void on_write(std::string_view key, bool erased) override {
      text += (erased ? " -" : " ") + std::string(key);
    }
    std::string text;
  };
  for (int reopened = 0; reopened < 2; ++reopened) {
    Told told;
    ASSERT_TRUE(db().visit_history(before, db().head(), told).has_value());
    EXPECT_EQ(told.text, stamp(10).hex() + " 1 -b" + stamp(30).hex() + " 2 a c" + stamp(31).hex() + " 0");
    open(small_options());
  }
}

TEST_F(IngestTest, starts_the_history_of_an_empty_database_alone) {
  open(small_options());
  auto ingest = db().begin_ingest({.starts_history = true});
  ASSERT_TRUE(ingest->add("a", stamp(30), "x").has_value());
  ASSERT_TRUE(ingest->add("b", stamp(10), "y").has_value());
  ASSERT_TRUE(ingest->publish({stamp(30), 1000}).committed);
  EXPECT_EQ(db().horizon(), stamp(30));
  EXPECT_FALSE(db().pin(stamp(20)).has_value());
  EXPECT_EQ(*db().last_commit(Versionstamp::max(), INT64_MAX), (CommitPoint{stamp(30), 1000}));
  open(small_options());
  EXPECT_EQ(db().horizon(), stamp(30));
  EXPECT_EQ(get(*db().read(), "b"), "y");
  auto again = db().begin_ingest({.starts_history = true});
  ASSERT_TRUE(again->add("a", stamp(50), "x").has_value());
  EXPECT_EQ(again->publish({stamp(50), 2000}).status.error().code, ErrorCode::kInvalidArgument);
}

class PutTogetherTest : public IngestTest, public ::testing::WithParamInterface<bool> {};

TEST_P(PutTogetherTest, of_several_that_were_filled_at_a_time) {
  constexpr int kIngests = 3, kKeys = 2000;
  const IngestOptions options{.starts_history = GetParam()};
  const auto key = [](int i) { return "key/" + std::to_string(100'000 + i); };
  const auto fill = [&](Ingest& ingest, int begin) {
    for (int i = begin; i < begin + kKeys; ++i) {
      EXPECT_TRUE(ingest.add(key(i), stamp(100 + static_cast<uint64_t>(i) % 10), "new").has_value());
      if (!GetParam() && i % 100 == 0) {
        EXPECT_TRUE(ingest.add(key(i), stamp(50), "old").has_value());
      }
    }
  };
  open(small_options());
  auto whole = db().begin_ingest(options);
  ASSERT_TRUE(whole->add("front", stamp(109), "x").has_value());
  std::vector<std::unique_ptr<Ingest>> ingests;
  for (int i = 0; i < kIngests; ++i) ingests.push_back(db().begin_ingest(options));
  std::vector<std::thread> threads;
  for (int i = 0; i < kIngests; ++i)
    threads.emplace_back([&fill, i, &ingest = *ingests[static_cast<size_t>(i)]] {
      fill(ingest, i * kKeys);
      if (i != 1) {
        EXPECT_TRUE(ingest.seal().has_value());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (auto& ingest : ingests) ASSERT_TRUE(whole->append(std::move(ingest)).has_value());
  ASSERT_TRUE(whole->append(db().begin_ingest(options)).has_value());
  EXPECT_FALSE(whole->add(key(5), stamp(109), "out of order").has_value());
  ASSERT_TRUE(whole->add("last", stamp(109), "x").has_value());
  ASSERT_TRUE(whole->publish({stamp(109), 5}).committed);

  struct Told final : HistoryVisitor {
    bool on_commit(const CommitPoint& commit, uint32_t) override {
      newest = commit.stamp == stamp(109);
      return true;
    }
    void on_write(std::string_view key, bool) override {
      if (newest) keys.emplace(key);
    }
    bool newest = false;
    std::set<std::string> keys;
  };
  for (int reopened = 0; reopened < 2; ++reopened) {
    EXPECT_EQ(scan(*db().read()).size(), size_t{kIngests * kKeys + 2});
    EXPECT_EQ(get(*db().read(), key(kIngests * kKeys - 1)), "new");
    if (!GetParam()) {
      EXPECT_EQ(get(*db().read(**db().pin(stamp(60))), key(4100)), "old");
    }
    Told told;
    ASSERT_TRUE(db().visit_history(Versionstamp(), db().head(), told).has_value());
    EXPECT_EQ(told.keys.size(), size_t{kIngests * kKeys / 10 + 2});
    EXPECT_EQ(told.keys.count(key(9)), 1u);
    open(small_options());
  }
}

INSTANTIATE_TEST_SUITE_P(Ingest, PutTogetherTest, ::testing::Bool());

TEST_F(IngestTest, refuses_another_one_whose_keys_do_not_lie_behind) {
  open(small_options());
  auto whole = db().begin_ingest();
  ASSERT_TRUE(whole->add("m", stamp(30), "x").has_value());
  for (const char* const key : {"a", "m"}) {
    auto other = db().begin_ingest();
    ASSERT_TRUE(other->add(key, stamp(31), "x").has_value());
    EXPECT_EQ(whole->append(std::move(other)).error().code, ErrorCode::kInvalidArgument);
  }
  ASSERT_TRUE(whole->begin_part().has_value());
  auto other = db().begin_ingest();
  ASSERT_TRUE(other->add("z", stamp(40), "x").has_value());
  EXPECT_EQ(whole->append(std::move(other)).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(whole->publish({stamp(50), 5}).committed);
  EXPECT_EQ(scan(*db().read(), {}).size(), 1u);
}

// A transaction that comes while the record of an ingest is being synced lies behind it, and must see it.
class PublishingTest : public WatchedDatabaseTest {};

TEST_F(PublishingTest, who_comes_behind_an_ingest_sees_it) {
  open(small_options());
  ASSERT_TRUE(put(db(), "key", "before").committed);
  ASSERT_TRUE(db().flush().has_value());
  const auto ingest = db().begin_ingest();
  const uint64_t number = db().head().number + 1000;
  ASSERT_TRUE(ingest->add("key", {number, 0}, "ingested").has_value());

  Gate syncing, go_on;
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op == WatchingFileSystem::Op::kSync && call.path.ends_with(".wal")) {
      syncing.open();
      EXPECT_TRUE(go_on.wait());
    }
    return {};
  });
  CommitOutcome published;
  std::thread publisher([&] { published = ingest->publish({{number, 0}, db().head_timestamp_ms() + 5}); });
  EXPECT_TRUE(syncing.wait());
  std::string seen;
  Submitted behind([&](Transaction& t) -> Result<CommitRequest::Decision> {
    TM_ASSIGN(const auto found, t.get("key"));
    seen = found ? std::string(found->bytes) : "nothing";
    return CommitRequest::Decision::kCommit;
  });
  db().submit(behind);
  system_clock().sleep_us(20'000);  // it would have been validated long since
  go_on.open();
  publisher.join();
  EXPECT_TRUE(behind.wait());
  fs_.set_hook({});
  EXPECT_TRUE(published.committed);
  EXPECT_GT(behind.outcome().versionstamp, published.versionstamp);
  EXPECT_EQ(seen, "ingested");
}

}  // namespace
}  // namespace tidemark
