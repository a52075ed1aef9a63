// Keys that expire, and their deletion in the background.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "server/kv/keyspace.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;
using test::TestStore;

class ExpiryTest : public ::testing::Test {
 protected:
  int64_t now() { return store_.clock().wall_us() / 1000; }
  void set_expiring(std::string_view key, int64_t at_ms) {
    Mutation mutation = set_mutation(key, "v");
    mutation.expire_at_ms = at_ms;
    store_.write({{}, {mutation}, {}});
  }
  // Polls until `condition`; false if that takes too long.
  bool polled_until(const std::function<bool()>& condition) {
    return test::polled_until([this] { store_.store().expiry().poll(nullptr); }, condition);
  }
  bool swept() {
    return polled_until([&] { return store_.count_engine_keys(kExpiryPrefix) == 0; });
  }

  TestStore store_;
};

TEST_F(ExpiryTest, IsHiddenFromItsMillisecondOnAndThenDeleted) {
  const int64_t at = now() + 100;
  set_expiring("k", at);
  store_.clock().set_ms(at - 1);
  EXPECT_TRUE(store_.get("k"));
  store_.clock().set_ms(at);
  EXPECT_FALSE(store_.get("k"));
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 1u);
  EXPECT_TRUE(swept());
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 0u);
  EXPECT_EQ(store_.store().expiry().deleted(), 1u);
}

TEST_F(ExpiryTest, NeverBeforeItsTime) {
  const int64_t at = now() + 1000;
  set_expiring("due", now() + 10);
  set_expiring("later", at);
  store_.clock().set_ms(at - 1);
  EXPECT_TRUE(polled_until([&] { return store_.store().expiry().deleted() == 1; }));
  EXPECT_TRUE(store_.get("later"));
  EXPECT_EQ(store_.store().expiry().lag_ms(), 0);
  store_.clock().set_ms(at);
  EXPECT_TRUE(swept());
  EXPECT_EQ(store_.store().expiry().deleted(), 2u);
}

TEST_F(ExpiryTest, InThePastIsLegalAndAbsentAtOnce) {
  set_expiring("k", 1);
  EXPECT_FALSE(store_.get("k"));
  EXPECT_TRUE(swept());
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 0u);
}

TEST_F(ExpiryTest, ALaterWriteOfTheKeyWins) {
  const int64_t at = now() + 100;
  set_expiring("set", at);
  set_expiring("extended", at);
  set_expiring("deleted", at);
  set_expiring("again", at);
  store_.set("set", "stays");
  set_expiring("extended", at + 1'000'000);
  store_.erase("deleted");
  set_expiring("again", at);
  store_.clock().set_ms(at + 500);
  EXPECT_TRUE(polled_until([&] { return store_.count_engine_keys(kExpiryPrefix) == 1; }));
  EXPECT_EQ(store_.get("set")->data, "stays");
  EXPECT_TRUE(store_.get("extended"));
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 2u);
}

TEST_F(ExpiryTest, WithinOneWriteTheLastOneCounts) {
  const int64_t at = now() + 100;
  Mutation early = set_mutation("k", "early");
  early.expire_at_ms = at;
  Mutation late = set_mutation("k", "late");
  late.expire_at_ms = at + 1000;
  Mutation never = set_mutation("n", "never");
  Mutation soon = set_mutation("n", "soon");
  soon.expire_at_ms = at;
  store_.write({{}, {early, late, soon, never}, {}});
  store_.clock().set_ms(at + 1);
  EXPECT_TRUE(polled_until([&] { return store_.count_engine_keys(kExpiryPrefix) == 1; }));
  EXPECT_EQ(store_.get("k")->data, "late");
  EXPECT_EQ(store_.get("n")->data, "never");
}

TEST_F(ExpiryTest, SurvivesARestart) {
  const int64_t at = now() + 100;
  set_expiring("k", at);
  store_.reopen();
  EXPECT_TRUE(store_.get("k"));
  store_.clock().set_ms(at + 1);
  EXPECT_FALSE(store_.get("k"));
  EXPECT_TRUE(swept());
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 0u);
}

TEST_F(ExpiryTest, ManyAtOnceAreDeletedInBatches) {
  const int64_t at = now() + 100;
  constexpr int kKeys = 3000;
  for (int i = 0; i < kKeys; i += 500) {
    std::vector<std::string> keys;
    for (int k = i; k < i + 500; ++k) keys.push_back("key" + std::to_string(k));
    AtomicWrite write;
    for (const std::string& key : keys) {
      write.mutations.push_back(set_mutation(key, "v"));
      write.mutations.back().expire_at_ms = at;
    }
    store_.write(write);
  }
  store_.set("stays", "v");
  store_.clock().set_ms(at);
  EXPECT_TRUE(swept());
  EXPECT_EQ(store_.store().expiry().deleted(), static_cast<uint64_t>(kKeys));
  EXPECT_EQ(store_.count_engine_keys(kUserPrefix), 1u);
}

TEST_F(ExpiryTest, TheDeletionHasAVersionstampOfItsOwnAndHistoryKeepsTheValue) {
  const int64_t at = now() + 100;
  set_expiring("k", at);
  const Versionstamp before = store_.database().head();
  store_.clock().set_ms(at);
  ASSERT_TRUE(swept());
  EXPECT_GT(store_.database().head(), before);
  auto snapshot = store_.database().pin(before);
  ASSERT_TRUE(snapshot.has_value());
  const auto past = store_.database().read(**snapshot)->get(UserKey("k").view());
  ASSERT_TRUE(past.has_value());
  EXPECT_TRUE(past->has_value());
}

TEST_F(ExpiryTest, AClockThatGoesBackDeletesNothingEarlyAndDoesNotSpin) {
  const int64_t at = now() + 1000;
  set_expiring("k", at);
  const Versionstamp head = store_.database().head();
  store_.clock().set_ms(at - 500);
  for (int i = 0; i < 20; ++i) {
    store_.store().expiry().poll(nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(store_.database().head(), head);
  EXPECT_TRUE(store_.get("k"));
}

}  // namespace
}  // namespace tidemark::kv
