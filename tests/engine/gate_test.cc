// Commits that wait to be made safe elsewhere before they count.
#include <deque>
#include <thread>

#include "tests/engine/database_test.h"

namespace tidemark {
namespace {

struct Pending final : CommitRequest {
  explicit Pending(std::string k, std::string v, bool commits = true)
      : key(std::move(k)), value(std::move(v)), commits(commits) {}
  Result<Decision> run(Transaction& t) override {
    const auto found = t.get(key);
    if (found && *found) seen = std::string((*found)->bytes);
    stamp = t.versionstamp();
    ran = true;
    if (!commits) return Decision::kAbort;
    t.put(key, value);
    return Decision::kCommit;
  }
  void done(const CommitOutcome& result) override {
    outcome = result;
    answered = true;
  }
  const std::string key, value;
  const bool commits;
  std::string seen;
  Versionstamp stamp;
  CommitOutcome outcome;
  std::atomic<bool> ran{false};
  std::atomic<bool> answered{false};
};

// Held in its run(), it is neither queued nor waiting to be released.
struct Held final : CommitRequest {
  Result<Decision> run(Transaction& t) override {
    t.put("held", "1");
    running = true;
    while (!go_on) system_clock().sleep_us(100);
    return Decision::kCommit;
  }
  void done(const CommitOutcome& result) override {
    outcome = result;
    answered = true;
  }
  CommitOutcome outcome;
  std::atomic<bool> running{false}, go_on{false}, answered{false};
};

class GateTest : public DatabaseTest {
 protected:
  void open_gated(uint64_t bytes_max = 1 << 20) {
    DatabaseOptions options = small_options();
    options.gated = true;
    options.gated_bytes_max = bytes_max;
    open(options);
  }
  Pending& submit(const std::string& key, const std::string& value, bool commits = true) {
    pending_.emplace_back(key, value, commits);
    db().submit(pending_.back());
    return pending_.back();
  }
  bool soon(const std::function<bool()>& holds) {
    for (int i = 0; i < 5000 && !holds(); ++i) system_clock().sleep_us(1000);
    return holds();
  }
  // After it is destroyed the database answers nobody any more.
  void TearDown() override { database_.reset(); }

  std::deque<Pending> pending_;
};

TEST_F(GateTest, NothingCountsBeforeItIsReleased) {
  open_gated();
  std::atomic<int> told{0};
  db().set_durable_hook([&] { ++told; });
  Pending& first = submit("a", "1");
  ASSERT_TRUE(soon([&] { return db().durable() > db().head() && told > 0; }));
  EXPECT_FALSE(first.answered);
  EXPECT_EQ(get(*db().read(), "a"), std::nullopt);
  // It is seen by those behind it, who wait with it.
  Pending& second = submit("a", "2");
  Pending& check = submit("a", "", false);
  ASSERT_TRUE(soon([&] { return check.seen == "2"; }));
  EXPECT_EQ(second.seen, "1");
  const Versionstamp last = db().durable();
  struct Count final : WriteVisitor {
    bool on_commit(const CommitPoint&, uint32_t) override { return ++commits < 100; }
    void on_put(std::string_view, std::string_view value) override { values += value; }
    void on_erase(std::string_view) override {}
    int commits = 0;
    std::string values;
  } count;
  const auto pin = db().pin_head();
  ASSERT_TRUE(soon([&] { return db().durable() == last; }));
  ASSERT_TRUE(db().visit_writes(pin->versionstamp(), Versionstamp::max(), count).has_value());
  EXPECT_EQ(count.values, "12");
  EXPECT_FALSE(second.answered || check.answered);

  db().release(first.outcome.versionstamp);
  db().release(db().durable());
  ASSERT_TRUE(soon([&] { return first.answered && second.answered && check.answered; }));
  EXPECT_TRUE(second.outcome.committed);
  EXPECT_FALSE(check.outcome.committed);
  EXPECT_EQ(db().head(), db().durable());
  EXPECT_EQ(get(*db().read(), "a"), "2");
  db().set_durable_hook(nullptr);
}

// What was written and synced together need not become safe elsewhere together.
TEST_F(GateTest, PartOfAGroupIsReleased) {
  open_gated();
  // While this one is validated, those behind it queue up: they become one group.
  Held slow;
  db().submit(slow);
  ASSERT_TRUE(soon([&] { return slow.running.load(); }));
  Pending& first = submit("a", "1");
  Pending& check = submit("a", "", false);
  Pending& second = submit("b", "2");
  Pending& behind = submit("a", "", false);
  slow.go_on = true;
  ASSERT_TRUE(soon([&] { return behind.ran && db().durable() == second.stamp; }));
  db().release(first.stamp);
  ASSERT_TRUE(soon([&] { return slow.answered && first.answered && check.answered; }));
  EXPECT_EQ(db().head(), first.outcome.versionstamp);
  EXPECT_EQ(db().head_timestamp_ms(), first.outcome.timestamp_ms);
  EXPECT_EQ(get(*db().read(), "a"), "1");
  EXPECT_EQ(get(*db().read(), "b"), std::nullopt);
  EXPECT_FALSE(second.answered || behind.answered);
  EXPECT_TRUE(db().pin(first.stamp).has_value());
  db().release(second.stamp);
  ASSERT_TRUE(soon([&] { return second.answered && behind.answered; }));
  EXPECT_EQ(db().head(), db().durable());
}

TEST_F(GateTest, AWaitingCallerIsReleasedToo) {
  open_gated();
  std::atomic<bool> stop{false};
  std::thread releaser([&] {
    while (!stop) {
      db().release(db().durable());
      system_clock().sleep_us(200);
    }
  });
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(put(db(), "key/" + std::to_string(w), std::to_string(i)).committed);
        ASSERT_EQ(get(*db().read(), "key/" + std::to_string(w)), std::to_string(i));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop = true;
  releaser.join();
}

TEST_F(GateTest, BeyondTheLimitNothingIsTaken) {
  open_gated(10'000);
  Pending* refused = nullptr;
  ASSERT_TRUE(soon([&] {
    Pending& one = submit("a", std::string(1000, 'x'));
    if (one.answered) refused = &one;
    return refused != nullptr;
  }));
  EXPECT_EQ(refused->outcome.status.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(soon([&] {
    db().release(db().durable());
    return std::ranges::all_of(pending_, [](const Pending& one) { return one.answered.load(); });
  }));
  Pending& after = submit("b", "1");
  ASSERT_TRUE(soon([&] { return db().durable() > db().head(); }));
  EXPECT_FALSE(after.answered);
  db().set_gate_open(true);
  ASSERT_TRUE(soon([&] { return after.answered.load(); }));
  EXPECT_TRUE(put(db(), "c", "1").committed);
}

TEST_F(GateTest, WhatIsNotReleasedIsOfUnknownOutcome) {
  open_gated();
  Pending& one = submit("a", "1");
  ASSERT_TRUE(soon([&] { return db().durable() > db().head(); }));
  db().refuse_commits("somebody else is the primary");
  ASSERT_TRUE(soon([&] { return one.answered.load(); }));
  EXPECT_EQ(one.outcome.status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(submit("a", "2").outcome.status.error().code, ErrorCode::kReadOnly);

  open_gated();
  EXPECT_EQ(get(*db().read(), "a"), "1");
  Pending& other = submit("a", "3");
  ASSERT_TRUE(soon([&] { return db().durable() > db().head(); }));
  ASSERT_TRUE(db().close().has_value());
  EXPECT_EQ(other.outcome.status.error().code, ErrorCode::kUnknownOutcome);
}

// What is head stays readable, whatever is flushed and merged above it.
TEST_F(GateTest, HeadIsKeptWhileMuchWaits) {
  DatabaseOptions options = small_options();
  options.gated = true;
  options.gated_bytes_max = 64 << 20;
  options.retention = Retention::none();
  open(options);
  db().set_gate_open(true);
  KeyValues expected;
  for (int i = 0; i < 200; ++i) {
    const std::string key = "key/" + std::to_string(i);
    ASSERT_TRUE(put(db(), key, "old").committed);
    expected[key] = "old";
  }
  db().set_gate_open(false);
  for (int round = 0; round < 30; ++round)
    for (int i = 0; i < 200; ++i) submit("key/" + std::to_string(i), std::string(50, 'x'));
  ASSERT_TRUE(soon([&] { return db().counters().flushes >= 3; }));
  ASSERT_TRUE(db().wait_idle().has_value());
  const auto seen = scan(*db().read());
  EXPECT_EQ(KeyValues(seen.begin(), seen.end()), expected);
  for (const auto& [key, value] : expected) EXPECT_EQ(get(*db().read(), key), value);
  db().set_gate_open(true);
  ASSERT_TRUE(soon([&] { return pending_.back().answered.load(); }));
  EXPECT_EQ(get(*db().read(), "key/7"), std::string(50, 'x'));
}

// Whoever flushes, merges or forks need not wait for elsewhere.
TEST_F(GateTest, WhatIsDoneToFilesDoesNotWait) {
  open_gated();
  db().set_gate_open(true);
  ASSERT_TRUE(put(db(), "a", "old").committed);
  db().set_gate_open(false);
  Pending& one = submit("a", "1");
  ASSERT_TRUE(db().flush().has_value());
  EXPECT_EQ(db().counters().flushes, 1u);
  Pending& other = submit("a", "2");
  ASSERT_TRUE(db().compact().has_value());
  EXPECT_EQ(get(*db().read(), "a"), "old");
  Pending& third = submit("a", "3");
  const Versionstamp head = db().head();
  ASSERT_TRUE(db().fork(folder_ / "fork", head).has_value());
  EXPECT_FALSE(one.answered || other.answered || third.answered);
  const auto fork = Database::open(*engine_, folder_ / "fork", small_options());
  ASSERT_TRUE(fork.has_value());
  EXPECT_EQ((*fork)->head(), head);
  EXPECT_EQ(get(*(*fork)->read(), "a"), "old");
  ASSERT_TRUE(soon([&] { return third.ran && db().durable() == third.stamp; }));
  db().release(third.stamp);
  ASSERT_TRUE(soon([&] { return one.answered && other.answered && third.answered; }));
  EXPECT_EQ(get(*db().read(), "a"), "3");
}

// As a rewind does: it writes against what was committed last, released or not, and is released behind it.
TEST_F(GateTest, AnIngestSeesWhatWaitsAndWaitsBehindIt) {
  open_gated();
  db().set_gate_open(true);
  ASSERT_TRUE(put(db(), "a", "old").committed);
  db().set_gate_open(false);
  const Versionstamp head = db().head();
  Pending& one = submit("a", "1");
  std::atomic<bool> completed{false};
  std::string seen;
  CommitPoint last;
  int commits = 0;
  CommitOutcome outcome;
  std::thread publisher([&] {
    const auto ingest = db().begin_ingest();
    outcome = ingest->publish(
        [&](const CommitPoint& before, const CommitPoint& next) -> Result<std::optional<CommitPoint>> {
          last = before;
          TM_ASSIGN(const auto pinned, db().pin(before.stamp));
          seen = get(*db().read(*pinned), "a").value_or("nothing");
          TM_TRY(db().visit_commits(head, before.stamp, [&](const CommitPoint&, uint32_t) {
            ++commits;
            return true;
          }));
          TM_TRY(ingest->add("a", next.stamp, "ingested"));
          completed = true;
          return next;
        });
  });
  EXPECT_TRUE(soon([&] { return completed.load(); }));
  Pending& behind = submit("b", "2");
  EXPECT_TRUE(soon([&] { return behind.ran && db().durable() == behind.stamp; }));
  EXPECT_EQ(last.stamp, one.stamp);
  EXPECT_EQ(seen, "1");
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(db().head(), head);
  EXPECT_EQ(get(*db().read(), "a"), "old");
  db().release(one.stamp);
  EXPECT_TRUE(soon([&] { return one.answered.load(); }));
  EXPECT_EQ(get(*db().read(), "a"), "1");
  EXPECT_FALSE(behind.answered);
  db().release(behind.stamp);
  publisher.join();
  EXPECT_TRUE(outcome.committed);
  EXPECT_TRUE(soon([&] { return behind.answered.load(); }));
  EXPECT_EQ(get(*db().read(), "a"), "ingested");
}

TEST_F(GateTest, AtTheLimitFilesAreWorkedOnAllTheSame) {
  open_gated(10'000);
  ASSERT_TRUE(soon([&] { return submit("a", std::string(1000, 'x')).answered.load(); }));
  EXPECT_TRUE(db().flush().has_value());
  EXPECT_TRUE(db().compact().has_value());
  EXPECT_TRUE(db().fork(folder_ / "fork", db().head()).has_value());
}

TEST_F(GateTest, WhatLiesAboveTheHeadIsNotForked) {
  open_gated();
  Pending& one = submit("a", "1");
  ASSERT_TRUE(soon([&] { return one.ran && db().durable() == one.stamp; }));
  const Status forked = db().fork(folder_ / "fork", one.stamp);
  ASSERT_FALSE(forked.has_value());
  EXPECT_EQ(forked.error().code, ErrorCode::kBeyondHorizon);
}

TEST_F(GateTest, WhatIsUnderWayWhenCommitsAreRefusedIsAnswered) {
  open_gated();
  Held held;
  db().submit(held);
  ASSERT_TRUE(soon([&] { return held.running.load(); }));
  Pending& behind = submit("a", "1");
  db().refuse_commits("somebody else is the primary");
  EXPECT_TRUE(behind.answered);
  EXPECT_EQ(behind.outcome.status.error().code, ErrorCode::kReadOnly);
  held.go_on = true;
  ASSERT_TRUE(soon([&] { return held.answered.load(); }));
  EXPECT_EQ(held.outcome.status.error().code, ErrorCode::kUnknownOutcome);
}

TEST_F(GateTest, WhoWaitsAtTheEndOfTheGateIsAnswered) {
  open_gated();
  Pending& one = submit("a", "1");
  ASSERT_TRUE(soon([&] { return db().durable() > db().head(); }));
  Held held;
  db().submit(held);
  ASSERT_TRUE(soon([&] { return held.running.load(); }));
  Pending& behind = submit("b", "1");
  EXPECT_TRUE(db().end_gate());
  EXPECT_TRUE(behind.answered);
  EXPECT_EQ(behind.outcome.status.error().code, ErrorCode::kShutdown);
  held.go_on = true;
  ASSERT_TRUE(soon([&] { return one.answered && held.answered; }));
  EXPECT_EQ(one.outcome.status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(held.outcome.status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(submit("a", "2").outcome.status.error().code, ErrorCode::kShutdown);
  EXPECT_EQ(db().write_status().error().code, ErrorCode::kShutdown);
  // Nothing of it counts here any more.
  db().release(db().durable());
  EXPECT_EQ(get(*db().read(), "a"), std::nullopt);
  EXPECT_TRUE(db().flush().has_value());
  ASSERT_TRUE(db().close().has_value());

  open_gated();
  EXPECT_EQ(get(*db().read(), "a"), "1");
  EXPECT_EQ(get(*db().read(), "held"), "1");
  open(small_options());
  EXPECT_FALSE(db().end_gate());
  EXPECT_TRUE(put(db(), "a", "3").committed);
}

}  // namespace
}  // namespace tidemark
