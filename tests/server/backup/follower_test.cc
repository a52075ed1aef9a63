// Who reads a backup: restoring, and replicas.
#include <algorithm>
#include <atomic>
#include <thread>

#include "server/backup/object_fetch.h"
#include "server/backup/verify.h"
#include "tests/server/backup/backup_test.h"

namespace tidemark::backup {
namespace {

TEST_F(BackupTest, AReplicaFollows) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(50));
  auto replica = restore();
  ASSERT_TRUE(replica.has_value()) << replica.error().message;
  for (int i = 0; i < 20; ++i) {
    commit_some(static_cast<int>(random_.below(40)));
    ship_all();
    const auto taken = replica->follower->pull();
    ASSERT_TRUE(taken.has_value()) << taken.error().message;
    EXPECT_EQ(replica->database->head(), db().head());
  }
  expect_same(*replica->database, db().head());
}

// A generation that never became complete stands between the one that a replica follows and the next one.
TEST_F(BackupTest, AReplicaDoesNotWaitForAGenerationThatWasGivenUp) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(50, small_database(Retention::none())));
  auto replica = restore();
  ASSERT_TRUE(replica.has_value());
  const auto lose_history = [&] {
    shipper().let_go(db());
    commit_some(100);
    ASSERT_TRUE(db().compact().has_value());
  };
  ASSERT_NO_FATAL_FAILURE(lose_history());
  // Its snapshot is refused.
  objects_->fate = [](const std::string& operation, const std::string& key) {
    return operation == "put" && key.find("/snapshots/") != std::string::npos
               ? MemoryObjectStore::Fate::kRefused
               : MemoryObjectStore::Fate::kDone;
  };
  for (int i = 0; i < 3; ++i) round();
  EXPECT_TRUE(replica->follower->pull().has_value());
  ASSERT_NO_FATAL_FAILURE(lose_history());
  objects_->fate = nullptr;
  new_shipper();
  ASSERT_NO_FATAL_FAILURE(ship_all());
  const auto pulled = replica->follower->pull();
  ASSERT_FALSE(pulled.has_value());
  EXPECT_EQ(pulled.error().code, ErrorCode::kConflict);
  EXPECT_NE(pulled.error().message.find("begin with an empty database"), std::string::npos)
      << pulled.error().message;
  // A moment in the gap is what was there before it.
  const auto then = restore(states_[120].point.stamp);
  ASSERT_TRUE(then.has_value()) << then.error().message;
  EXPECT_EQ(contents(*then->database->read()), state_at(then->database->head()));
}

// What the reader had to wait for is not read again after an interruption; what the store had ready before it
// was wanted is not written to the disk for that.
TEST_F(BackupTest, WhatWasWaitedForIsKept) {
  std::map<std::string, std::string> all;
  std::vector<ObjectInfo> infos;
  for (char name = 'a'; name < 'k'; ++name) {
    all[std::string(1, name)] = std::string(100, name);
    infos.push_back({std::string(1, name), 100, 0});
  }
  objects_->set_objects(all);
  for (const bool waits : {true, false}) {
    SCOPED_TRACE(waits);
    const std::string folder = folder_ / (waits ? "slow" : "fast");
    ASSERT_TRUE(engine_->file_system().create_dir(folder).has_value());
    std::atomic<bool> wanted = false;
    std::atomic<int> reads = 0;
    objects_->fate = [&](const std::string&, const std::string&) {
      while (waits && !wanted) system_clock().sleep_us(100);
      if (waits) system_clock().sleep_us(2000);  // by then the reader waits again
      ++reads;
      return MemoryObjectStore::Fate::kDone;
    };
    const KeptObjects kept(engine_->file_system(), folder, false);
    for (const bool again : {false, true}) {
      wanted = again;
      ObjectFetch fetch(engine_->executor(), *objects_, infos, kept);
      while (!waits && !again && reads < 10) system_clock().sleep_us(100);
      // So that the last of them has been asked whether to be kept.
      if (!waits && !again) system_clock().sleep_us(50'000);
      std::thread later([&] {
        system_clock().sleep_us(20'000);
        wanted = true;
      });
      for (const ObjectInfo& info : infos) {
        const auto fetched = fetch.next();
        ASSERT_TRUE(fetched.has_value() && *fetched) << fetched.error().message;
        EXPECT_EQ((*fetched)->bytes, all[info.key]);
      }
      later.join();
    }
    if (waits) {
      EXPECT_LT(reads, 20);
    } else {
      EXPECT_EQ(reads, 20);
    }
  }
  objects_->fate = nullptr;
}

// A moment at the end of a generation that the next one does not continue, and one in the gap behind it.
TEST_F(BackupTest, MomentsBeforeAGapAreRestored) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(50, small_database(Retention::none())));
  commit_some(20);
  ship_all();
  const CommitPoint end = states_.back().point;
  shipper().let_go(db());
  clock_.pass_ms(1000);
  commit_some(50);
  ASSERT_TRUE(db().compact().has_value());
  ship_all();
  clock_.pass_ms(1000);
  for (const kv::MomentName until :
       {kv::MomentName(end.stamp), kv::MomentName(kv::TimeMs{end.timestamp_ms + 500})}) {
    auto restored = restore(until);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    EXPECT_EQ(restored->database->head(), end.stamp);
    expect_same(*restored->database, end.stamp);
  }
}

TEST_F(BackupTest, FlippedBitsAreNoticed) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(50));
  commit_some(20);
  ship_all();
  const auto whole = objects_->objects();
  for (const auto& [key, bytes] : whole) {
    if (!key.ends_with(".bin")) continue;
    for (int i = 0; i < 20; ++i) {
      auto damaged = whole;
      const size_t bit = random_.below(8 * bytes.size());
      damaged[key][bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      objects_->set_objects(damaged);
      const auto source = Source::open(*objects_, kPrefix);
      ASSERT_TRUE(source.has_value());
      const auto found = verify_backup(*engine_, *source, {});
      ASSERT_TRUE(found.has_value()) << found.error().message;
      EXPECT_FALSE(found->problems.empty()) << key << " bit " << bit;
    }
  }
}

}  // namespace
}  // namespace tidemark::backup
