// An acknowledged commit survives power loss: shown by what was synced before each answer, and by opening
// what a disk would hold if power had gone right after it.
#include <atomic>
#include <thread>

#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

using Decision = CommitRequest::Decision;

class DurabilityTest : public WatchedDatabaseTest {
 protected:
  DurabilityTest() : WatchedDatabaseTest(true) {}

  // Commits from several threads, blocking and not, each with a marker among its bytes; gives how many were
  // answered before a data sync that covers them had ended, and how many there were.
  struct Proof {
    int answers = 0;
    int uncovered = 0;
  };
  Proof prove(int threads, int commits_each) {
    std::atomic<int> answers = 0, uncovered = 0;
    std::atomic<uint64_t> next_marker = 1;
    // Long enough for other threads to overtake whoever would not wait.
    fs_.set_hook([](const WatchingFileSystem::Call& call) -> Status {
      if (call.op == WatchingFileSystem::Op::kSync) system_clock().sleep_us(100);
      return {};
    });
    const auto answered = [&](const CommitOutcome& outcome, uint64_t marker) {
      EXPECT_TRUE(outcome.status.has_value());
      ++answers;
      if (!fs_.covered(marker)) ++uncovered;
    };
    const auto work = [&](int thread) {
      for (int i = 0; i < commits_each; ++i) {
        const uint64_t marker = next_marker++;
        uint64_t seen = 0;
        const auto run = [&](Transaction& t) -> Result<Decision> {
          // What another thread wrote, perhaps in the same group.
          auto found = t.get("shared");
          if (found && *found) seen = std::stoull(std::string((*found)->bytes.substr(5)));
          if (i % 4 == 3) return Decision::kAbort;
          t.put("shared", WatchingFileSystem::marker(marker));
          t.put("own/" + std::to_string(thread), std::string(100, 'x'));
          return Decision::kCommit;
        };
        if (i % 2 == 0) {
          const CommitOutcome outcome = commit(db(), run);
          if (i % 4 != 3) answered(outcome, marker);
          if (seen != 0) answered(outcome, seen);
        } else {
          Submitted request(run);
          request.on_done = [&](const CommitOutcome& outcome) {
            if (i % 4 != 3) answered(outcome, marker);
            if (seen != 0) answered(outcome, seen);
          };
          db().submit(request);
          ASSERT_TRUE(request.wait());
        }
      }
    };
    std::vector<std::thread> pool;
    for (int thread = 0; thread < threads; ++thread) pool.emplace_back(work, thread);
    for (std::thread& thread : pool) thread.join();
    return {answers, uncovered};
  }
};

TEST_F(DurabilityTest, every_answer_comes_after_a_sync_that_covers_what_it_says) {
  open(small_options());
  const Proof proof = prove(4, 200);
  EXPECT_GT(proof.answers, 1000);
  EXPECT_EQ(proof.uncovered, 0);
  EXPECT_GT(db().stats().flushes, 0u);
}

// The same look at a database that does not sync: it must find what is missing there.
TEST_F(DurabilityTest, the_proof_fails_where_answers_do_not_wait_for_syncs) {
  DatabaseOptions options = small_options();
  options.durability = Durability::kUnsynced;
  open(options);
  const Proof proof = prove(2, 50);
  EXPECT_GT(proof.answers, 100);
  EXPECT_GT(proof.uncovered, 0);
}

struct State {
  Versionstamp stamp;
  KeyValues values;
};

class PowerLossTest : public DurabilityTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  void random_commit() {
    KeyValues next = states_.empty() ? KeyValues() : states_.back().values;
    const uint64_t writes = 1 + random_.below(5);
    const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<Decision> {
      for (uint64_t w = 0; w < writes; ++w) {
        const std::string key = "key/" + std::to_string(random_.below(60));
        if (random_.one_in(4)) {
          t.erase(key);
          next.erase(key);
        } else {
          const std::string value(random_.below(300), static_cast<char>('a' + random_.below(26)));
          t.put(key, value);
          next[key] = value;
        }
      }
      return Decision::kCommit;
    });
    ASSERT_TRUE(outcome.committed) << why(outcome.status);
    states_.push_back({outcome.versionstamp, std::move(next)});
  }

  // Opens what power loss left: the state after the last acknowledged commit and, of earlier ones, a sample.
  void check_power_loss(bool all_unsynced_lost) {
    const std::string lost = folder_ / "lost";
    std::filesystem::remove_all(lost);
    fs_.write_power_loss(dir_, lost, all_unsynced_lost ? nullptr : &random_);
    auto engine = Engine::create({.block_cache_bytes = 1 << 20, .max_open_segments = 16});
    for (int opening = 0; opening < 2; ++opening) {
      auto opened = Database::open(*engine, lost, small_options());
      ASSERT_TRUE(opened.has_value()) << opened.error().message;
      Database& after = **opened;
      ASSERT_EQ(after.head(), states_.back().stamp);
      ASSERT_EQ(contents(after), states_.back().values);
      for (int i = 0; i < 4; ++i) {
        const State& state = states_[random_.below(states_.size())];
        auto pinned = after.pin(state.stamp);
        ASSERT_TRUE(pinned.has_value()) << pinned.error().message;
        KeyValues then;
        for (auto& [key, value] : scan(*after.read(**pinned))) then[key] = value;
        ASSERT_EQ(then, state.values) << "at " << state.stamp.hex();
      }
      // It takes writes, and goes on above.
      if (opening == 1) {
        const CommitOutcome more = put(after, "more", "x");
        ASSERT_TRUE(more.committed);
        ASSERT_GT(more.versionstamp, states_.back().stamp);
      }
    }
  }

  Random random_{GetParam()};
  std::vector<State> states_;
};

TEST_P(PowerLossTest, every_acknowledged_commit_is_there_whole_and_in_order) {
  open(small_options());
  for (int i = 0; i < 1200; ++i) {
    random_commit();
    if (HasFatalFailure()) return;
    if (i % 9 == 0) {
      SCOPED_TRACE("after commit " + std::to_string(i));
      check_power_loss(random_.one_in(2));
      if (HasFatalFailure()) return;
    }
    if (random_.one_in(200)) {
      open(small_options());
    } else if (random_.one_in(200)) {
      ASSERT_TRUE(db().compact().has_value());
    }
  }
  EXPECT_GT(db().stats().live.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(seeds, PowerLossTest, ::testing::Range<uint64_t>(1, 7));

// Unsynced commits may be lost, but only from the end, and never in part.
TEST_P(PowerLossTest, unsynced_commits_are_lost_from_the_end_and_whole) {
  DatabaseOptions options = small_options();
  options.durability = Durability::kUnsynced;
  open(options);
  for (int i = 0; i < 300; ++i) {
    random_commit();
    if (i % 20 != 0) continue;
    const std::string lost = folder_ / "lost";
    std::filesystem::remove_all(lost);
    fs_.write_power_loss(dir_, lost, &random_);
    auto engine = Engine::create({});
    auto opened = Database::open(*engine, lost, options);
    ASSERT_TRUE(opened.has_value()) << "after commit " << i << ": " << opened.error().message;
    const Versionstamp head = (*opened)->head();
    KeyValues expected;
    bool known = head == Versionstamp::min();
    for (const State& state : states_) {
      if (state.stamp != head) continue;
      expected = state.values;
      known = true;
    }
    ASSERT_TRUE(known);
    ASSERT_EQ(contents(**opened), expected);
  }
}

}  // namespace
}  // namespace tidemark
