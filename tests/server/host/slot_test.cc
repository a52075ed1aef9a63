// One database that opens and closes.
#include <gtest/gtest.h>

#include <atomic>

#include "server/host/database_slot.h"
#include "tests/server/kv/test_store.h"
#include "tests/support/fake_clock.h"

namespace tidemark::host {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kMinuteUs = kMinuteMs * 1000;
constexpr int64_t kLongUs = int64_t{60} * kMinuteUs;

class SlotTest : public ::testing::Test {
 protected:
  SlotTest() {
    EngineComponents components;
    components.clock = &clock_;
    engine_ = Engine::create({}, components);
    slot_ = std::make_shared<DatabaseSlot>(*engine_, "name", [this] { return open_files(); }, LogSink());
  }
  ~SlotTest() override {
    slot_->retire();
    EXPECT_TRUE(slot_->wait_closed(kLongUs));
    const std::weak_ptr<DatabaseSlot> slot = slot_;
    slot_.reset();
    engine_.reset();  // ends tasks that may still know it
    EXPECT_TRUE(slot.expired());
  }

  Result<std::unique_ptr<HostedDatabase>> open_files() {
    ++openings_;
    if (broken_) return fail(ErrorCode::kCorruption, "broken");
    TM_ASSIGN(std::unique_ptr<Database> database, Database::open(*engine_, folder_ / "db", {}));
    return std::make_unique<HostedDatabase>(*engine_, Uuid{}, std::move(database), kv::Limits{});
  }
  // The opening may still hold its own reference for a moment, which puts the closing off.
  void close_idle(const std::weak_ptr<HostedDatabase>& database) {
    while (!database.expired()) {
      slot_->close_if_idle(5 * kMinuteUs);
      system_clock().sleep_us(100);
    }
  }

  test::TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<Engine> engine_;
  std::atomic<int> openings_ = 0;
  std::atomic<bool> broken_ = false;
  std::shared_ptr<DatabaseSlot> slot_;
};

TEST_F(SlotTest, OpensOnceForAllWhoAsk) {
  EXPECT_FALSE(slot_->get());
  const auto first = slot_->open_and_wait();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ((*first)->name(), "name");
  EXPECT_EQ(slot_->get(), *first);
  EXPECT_EQ(*slot_->open_and_wait(), *first);
  EXPECT_EQ(openings_, 1);
  slot_->rename("another");
  EXPECT_EQ((*first)->name(), "another");
}

TEST_F(SlotTest, ClosesWhenIdle) {
  std::weak_ptr<HostedDatabase> seen = *slot_->open_and_wait();
  clock_.pass_ms(4 * kMinuteMs);
  slot_->close_if_idle(5 * kMinuteUs);
  EXPECT_TRUE(slot_->get());  // a use
  clock_.pass_ms(4 * kMinuteMs);
  slot_->close_if_idle(5 * kMinuteUs);
  clock_.pass_ms(4 * kMinuteMs);
  slot_->close_if_idle(5 * kMinuteUs);  // 4 minutes after the use was noticed
  EXPECT_FALSE(seen.expired());
  clock_.pass_ms(kMinuteMs);
  close_idle(seen);
  EXPECT_FALSE(slot_->get());
  EXPECT_TRUE(slot_->open_and_wait().has_value());
  EXPECT_EQ(openings_, 2);
}

TEST_F(SlotTest, IsNotIdleWhileSomebodyHasIt) {
  DatabaseRef user = *slot_->open_and_wait();
  for (int i = 0; i < 3; ++i) {
    clock_.pass_ms(60 * kMinuteMs);
    slot_->close_if_idle(5 * kMinuteUs);
  }
  EXPECT_EQ(slot_->get(), user);
}

TEST_F(SlotTest, ClosesAfterTheLastUserAndStaysAsItIs) {
  DatabaseRef user = *slot_->open_and_wait();
  slot_->retire();
  EXPECT_FALSE(slot_->get());
  const auto refused = slot_->open_and_wait();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(user->database().head(), Versionstamp::min());  // it still works
  slot_->revive();
  EXPECT_EQ(*slot_->open_and_wait(), user);
  slot_->retire();
  user.reset();
  EXPECT_TRUE(slot_->wait_closed(kLongUs));
  EXPECT_TRUE(slot_->close_status().has_value());
}

TEST_F(SlotTest, ABrokenOneIsNotTriedForEachRequest) {
  broken_ = true;
  for (int i = 0; i < 10; ++i) {
    const auto opened = slot_->open_and_wait();
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kCorruption);
  }
  EXPECT_EQ(openings_, 1);
  broken_ = false;
  clock_.pass_ms(5'000);
  EXPECT_TRUE(slot_->open_and_wait().has_value());
}

}  // namespace
}  // namespace tidemark::host
