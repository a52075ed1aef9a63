// Tasks for later, and what the commit pipeline does with them.
#include "engine/io/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

constexpr ThreadCounts kOneEach{1, 1, 1, 1};

TEST(ExecutorTest, WhatIsForLaterHoldsNoThread) {
  const auto executor = make_thread_executor(kOneEach);
  Gate first, second;
  std::atomic<int> order = 0;
  int late = 0, soon = 0;
  executor->post_after(Lane::kRead, 50'000, [&] {
    late = ++order;
    second.open();
  });
  executor->post(Lane::kRead, [&] {
    soon = ++order;
    first.open();
  });
  EXPECT_TRUE(first.wait());
  EXPECT_TRUE(second.wait());
  EXPECT_EQ(soon, 1);
  EXPECT_EQ(late, 2);
}

TEST(ExecutorTest, InTheOrderOfTheirTimesAndNotEarly) {
  const auto executor = make_thread_executor(kOneEach);
  Gate done;
  std::vector<int> order;
  int64_t early = 0;
  const int64_t begun_us = system_clock().monotonic_us();
  const auto note = [&](int number, int64_t after_us) {
    executor->post_after(Lane::kFlush, after_us, [&, number, after_us] {
      if (system_clock().monotonic_us() - begun_us < after_us) ++early;
      order.push_back(number);
      if (order.size() == 4) done.open();
    });
  };
  note(3, 30'000);
  note(1, 10'000);
  note(2, 20'000);
  note(0, 0);
  EXPECT_TRUE(done.wait());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(early, 0);
}

TEST(ExecutorTest, ItsEndWaitsForNoTime) {
  auto executor = make_thread_executor(kOneEach);
  bool ran = false;
  executor->post_after(Lane::kCommit, int64_t{3600} * 1'000'000, [&] { ran = true; });
  executor.reset();
  EXPECT_TRUE(ran);
}

// From hold() on keeps what is for later, until it is told to run it; otherwise there is no later.
class HoldingExecutor final : public Executor {
 public:
  void post(Lane lane, std::function<void()> task) override { base_->post(lane, std::move(task)); }
  void post_after(Lane lane, int64_t, std::function<void()> task) override {
    MutexLock lock(mutex_);
    if (!holding_) return base_->post(lane, std::move(task));
    held_.emplace_back(lane, std::move(task));
  }
  void hold() {
    MutexLock lock(mutex_);
    holding_ = true;
  }
  size_t held() {
    MutexLock lock(mutex_);
    return held_.size();
  }
  void release() {
    MutexLock lock(mutex_);
    holding_ = false;
    for (auto& [lane, task] : held_) base_->post(lane, std::move(task));
    held_.clear();
  }

 private:
  const std::unique_ptr<Executor> base_ = make_thread_executor(kOneEach);
  Mutex mutex_;
  bool holding_ TM_GUARDED_BY(mutex_) = false;
  std::vector<std::pair<Lane, std::function<void()>>> held_ TM_GUARDED_BY(mutex_);
};

// One commit thread, and a database whose level 0 is full: back-pressure holds its groups back. Another
// database on the same thread must not feel it.
TEST(BackPressureTest, HoldsNoThreadOfTheLane) {
  TemporaryFolder folder;
  HoldingExecutor executor;
  EngineComponents components;
  components.executor = &executor;
  const auto engine = Engine::create({}, components);
  DatabaseOptions options = small_options();
  options.level0_compaction_trigger = 1000;
  options.level0_slowdown_trigger = 2;
  options.level0_stop_trigger = 3;
  auto slow = Database::open(*engine, folder / "slow", options);
  auto other = Database::open(*engine, folder / "other", options);
  ASSERT_TRUE(slow.has_value() && other.has_value());
  // However the test ends: a database is closed only when nothing of it is held.
  const std::unique_ptr<HoldingExecutor, void (*)(HoldingExecutor*)> released(
      &executor, [](HoldingExecutor* held) { held->release(); });
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(put(**slow, "key", std::string(100, 'v')).committed);
    ASSERT_TRUE((*slow)->flush().has_value());
  }
  ASSERT_EQ((*slow)->stats().live[0].segments, 2u);
  // Only now: the group that froze the memtable may have seen both segments already, and be held back, too.
  executor.hold();
  ASSERT_TRUE(put(**slow, "key", std::string(100, 'v')).committed);
  ASSERT_EQ(executor.held(), 1u);  // by the group of the last put

  const auto write = [](Transaction& t) -> Result<CommitRequest::Decision> {
    t.put("key", std::string(1000, 'w'));
    return CommitRequest::Decision::kCommit;
  };
  Submitted held_back(write), unaffected(write);
  (*slow)->submit(held_back);
  (*other)->submit(unaffected);
  EXPECT_TRUE(unaffected.wait());
  EXPECT_TRUE(put(**other, "key2", "v").committed);
  EXPECT_LT((*slow)->read()->get("key")->value().bytes().size(), 1000u);
  executor.release();
  EXPECT_TRUE(held_back.wait());
  EXPECT_TRUE(held_back.outcome().committed);
  EXPECT_GT((*slow)->counters().write_delay_us, 0u);
  EXPECT_EQ((*other)->counters().write_delay_us, 0u);
  slow->reset();
  other->reset();
}

}  // namespace
}  // namespace tidemark
