// What a store owes to databases that are closed: their expiries, their figures, and that not too many are
// open.
#include <gtest/gtest.h>

#include <algorithm>

#include "server/host/host.h"
#include "server/kv/keyspace.h"
#include "tests/server/kv/test_store.h"
#include "tests/support/fake_clock.h"

namespace tidemark::host {
namespace {

constexpr int64_t kIdleMs = int64_t{6} * 60'000;

class ClosedTest : public ::testing::Test {
 protected:
  ClosedTest() {
    EngineComponents components;
    components.clock = &clock_;
    engine_ = Engine::create({}, components);
    options_.data_dir = folder_.path();
    options_.access_token = "the token of the test";
    open();
  }
  ~ClosedTest() override { close(); }

  void open() {
    auto host = Host::open(*engine_, options_);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
  }
  void close() {
    EXPECT_TRUE(host_->close().has_value());
    host_.reset();
  }

  Uuid make(const std::string& name) {
    auto made = host_->create_database(name);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made->id;
  }
  DatabaseRef use(const Uuid& id) {
    DatabaseRef opened;
    std::atomic<bool> told = false;
    host_->open_database(id, [&](const Result<DatabaseRef>& result) {
      EXPECT_TRUE(result.has_value());
      if (result) opened = *result;
      told = true;
    });
    while (!told) system_clock().sleep_us(100);
    return opened;
  }
  static void set(const DatabaseRef& database, const std::string& key, int64_t expire_at_ms = 0) {
    struct Request final : kv::WriteRequest {
      using kv::WriteRequest::WriteRequest;
      void answer(const CommitOutcome& outcome) override { committed = outcome.committed ? 1 : 2; }
      std::atomic<int> committed = 0;
    };
    kv::Mutation mutation = test::set_mutation(key, "value");
    mutation.expire_at_ms = expire_at_ms;
    auto plan = database->store().plan({{}, {mutation}, {}});
    ASSERT_TRUE(plan.has_value());
    Request request(std::move(*plan));
    database->store().submit(request);
    while (request.committed == 0) system_clock().sleep_us(100);
    EXPECT_EQ(request.committed, 1);
  }
  bool polled_until(const std::function<bool()>& condition) {
    return test::polled_until([this] { host_->poll(); }, condition);
  }
  // Lets all databases fall idle and closes them.
  void close_idle() {
    host_->maintain();
    clock_.pass_ms(kIdleMs);
    ASSERT_TRUE(
        test::polled_until([this] { host_->maintain(); }, [this] { return host_->opened().empty(); }));
  }
  // Settles the visits that find out what expires.
  void visit_all() {
    size_t quiet = 0;
    EXPECT_TRUE(polled_until([&] {
      quiet = host_->opened().empty() ? quiet + 1 : 0;
      return quiet > 20;
    }));
  }
  static size_t keys(const DatabaseRef& database) {
    size_t count = 0;
    const auto view = database->database().read();
    const std::string from(1, kv::kUserPrefix), to(1, kv::kUserPrefix + 1);
    const auto cursor = view->scan({from, to});
    while (*cursor->next()) ++count;
    return count;
  }

  FakeClock clock_;
  std::unique_ptr<Engine> engine_;
  test::TempFolder folder_;
  HostOptions options_;
  std::unique_ptr<Host> host_;
};

TEST_F(ClosedTest, KeysOfAClosedDatabaseAreDeletedWhenTheyExpire) {
  const Uuid id = make("orders");
  const int64_t due_ms = clock_.wall_ms() + 3 * kIdleMs;
  {
    const DatabaseRef database = use(id);
    set(database, "expires", due_ms);
    set(database, "stays");
    EXPECT_TRUE(polled_until([&] { return database->store().expiry().next_ms() == due_ms; }));
  }
  close_idle();
  const uint64_t deleted = host_->counters().expired_keys;
  for (int i = 0; i < 20; ++i) host_->poll();
  EXPECT_TRUE(host_->opened().empty()) << "nothing is due, and it was opened";
  clock_.pass_ms(3 * kIdleMs);
  EXPECT_TRUE(polled_until([&] { return host_->counters().expired_keys == deleted + 1; }));
  // And is closed again, without anybody having waited for it.
  EXPECT_TRUE(polled_until([&] { return host_->opened().empty(); }));
  EXPECT_EQ(keys(use(id)), 1u);
}

// What waits to be released, here the deletion of what has expired, does not keep a deleted database open,
// nor the store.
TEST_F(ClosedTest, WhatWaitsIsLetGoOf) {
  close();
  options_.database.gated = true;
  open();
  const auto with_waiting_expiry = [&](const std::string& name) {
    const DatabaseRef database = use(make(name));
    database->database().set_gate_open(true);
    set(database, "expires", clock_.wall_ms() + 1000);
    database->database().set_gate_open(false);
    clock_.pass_ms(5000);
    EXPECT_TRUE(polled_until([&] { return database->database().durable() > database->database().head(); }));
  };
  with_waiting_expiry("orders");
  ASSERT_TRUE(host_->delete_database("orders").has_value());
  const auto purged = host_->purge_database("orders");
  EXPECT_TRUE(purged.has_value()) << purged.error().message;
  with_waiting_expiry("others");
}

TEST_F(ClosedTest, WhatNobodyHasOpenedSinceTheStartIsVisitedOnce) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(make("d" + std::to_string(i)));
  for (const Uuid& id : ids) set(use(id), "expires", clock_.wall_ms() + 1000);
  close();
  clock_.pass_ms(5000);
  options_.open_at_start = 0;
  open();
  EXPECT_TRUE(host_->opened().empty());
  EXPECT_TRUE(polled_until([&] { return host_->counters().expired_keys == ids.size(); }));
  visit_all();
  for (const Uuid& id : ids) EXPECT_EQ(keys(use(id)), 0u);
}

TEST_F(ClosedTest, AVisitedDatabaseThatIsUsedStaysOpen) {
  const Uuid id = make("orders");
  set(use(id), "expires", clock_.wall_ms() + kIdleMs * 2);
  close_idle();
  clock_.pass_ms(kIdleMs * 2);
  EXPECT_TRUE(polled_until([&] { return host_->find(id) != nullptr; }));
  EXPECT_TRUE(polled_until([&] { return host_->counters().expired_keys == 1; }));
  for (int i = 0; i < 20; ++i) host_->poll();
  EXPECT_TRUE(host_->find(id));
}

TEST_F(ClosedTest, CountersSurviveClosingAndRemoval) {
  const Uuid id = make("orders");
  const uint64_t before = host_->counters().engine.commits;
  const auto counted = [&] { return host_->counters().engine.commits - before; };
  {
    const DatabaseRef database = use(id);
    for (int i = 0; i < 5; ++i) set(database, "key" + std::to_string(i));
  }
  EXPECT_EQ(counted(), 5u);
  close_idle();
  EXPECT_EQ(counted(), 5u);
  set(use(id), "another");
  EXPECT_EQ(counted(), 6u);
  {
    const auto figures = host_->figures();
    ASSERT_EQ(figures.size(), 2u);
    EXPECT_EQ(figures[0].name, "default");
    EXPECT_EQ(figures[0].counters.engine.commits, 0u);
    EXPECT_EQ(figures[1].name, "orders");
    EXPECT_EQ(figures[1].counters.engine.commits, 6u);
  }
  EXPECT_TRUE(host_->delete_database("orders").has_value());
  EXPECT_EQ(counted(), 6u);
  EXPECT_EQ(host_->figures().size(), 1u);
  EXPECT_TRUE(host_->purge_database("orders").has_value());
  EXPECT_EQ(counted(), 6u);
}

// Nobody may see a counter fall, not for a moment.
TEST_F(ClosedTest, CountersNeverFallWhileADatabaseCloses) {
  const Uuid id = make("orders");
  uint64_t most = 0;
  for (int round = 0; round < 20; ++round) {
    set(use(id), "key");
    host_->maintain();
    clock_.pass_ms(kIdleMs);
    while (!host_->opened().empty()) {
      host_->maintain();
      const uint64_t now = host_->counters().engine.commits;
      ASSERT_GE(now, most);
      most = now;
    }
    for (int i = 0; i < 1000; ++i) ASSERT_GE(host_->counters().engine.commits, most);
  }
  EXPECT_EQ(host_->counters().engine.commits, 20u);
}

TEST_F(ClosedTest, NoMoreAreOpenThanAllowed) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(make("d" + std::to_string(i)));
  close();
  options_.max_open_databases = 3;
  options_.open_at_start = 100;
  open();
  EXPECT_EQ(host_->opened().size(), 13u);
  const DatabaseRef in_use = use(ids[4]);
  EXPECT_TRUE(polled_until([&] {
    clock_.pass_ms(1000);
    return host_->opened().size() <= 3;
  }));
  for (int i = 0; i < 20; ++i) {
    clock_.pass_ms(1000);
    host_->poll();
  }
  EXPECT_EQ(host_->opened().size(), 3u) << "no more than needed are closed";
  EXPECT_EQ(host_->find(ids[4]), in_use);
  for (const Uuid& id : ids) set(use(id), "key");
}

}  // namespace
}  // namespace tidemark::host
