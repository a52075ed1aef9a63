// Who writes a backup.
#include "tests/server/backup/backup_test.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

namespace tidemark::backup {
namespace {

TEST_F(BackupTest, SnapshotAndLogGiveEveryState) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(300));
  const Versionstamp first = db().head();
  commit_some(200);
  ship_all();
  auto restored = restore();
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(restored->database->head(), db().head());
  EXPECT_EQ(restored->database->head_timestamp_ms(), db().head_timestamp_ms());
  EXPECT_EQ(restored->database->horizon(), first);
  expect_same(*restored->database, db().head());
}

TEST_F(BackupTest, AnEmptyDatabaseHasABackup) {
  open();
  new_shipper();
  ship_all();
  EXPECT_EQ(shipper().status().state, ShipperState::kActive);
  expect_restores();
  commit_some(20);
  ship_all();
  expect_restores();
}

TEST_F(BackupTest, AGenerationThatCameOfAgeIsContinued) {
  ShipperOptions options = small_objects();
  options.generation_age_ms = 100'000;
  options.keep_ms = 1'000'000'000;
  open();
  commit_some(50);
  new_shipper(options);
  ship_all();
  auto replica = restore();
  ASSERT_TRUE(replica.has_value());
  for (int i = 0; i < 5; ++i) {
    clock_.pass_ms(100'000);
    commit_some(50);
    ship_all();
    ASSERT_TRUE(replica->follower->pull().has_value());
  }
  EXPECT_GE(replica->follower->source().index()->generations.size(), 4U);
  expect_same(*replica->database, db().head());
  // Every moment since the first snapshot, whatever generation it is restored from.
  for (int i = 0; i < 20; ++i) expect_restores(states_[50 + random_.below(states_.size() - 50)].point.stamp);
}

TEST_F(BackupTest, WhatIsOlderThanIsKeptIsRemoved) {
  ShipperOptions options = small_objects();
  options.generation_age_ms = 100'000;
  options.keep_ms = 250'000;
  open();
  commit_some(50);
  new_shipper(options);
  ship_all();
  for (int i = 0; i < 8; ++i) {
    clock_.pass_ms(100'000);
    commit_some(30);
    ship_all();
  }
  clock_.pass_ms(100'000);
  commit_some(1);
  ship_all();
  const auto restored = restore();
  ASSERT_TRUE(restored.has_value());
  const Index& index = *restored->follower->source().index();
  EXPECT_LE(index.generations.size(), 5U);
  EXPECT_LE(index.generations.front().began_ms, clock_.wall_ms() - options.keep_ms);
  for (const auto& [key, bytes] : objects_->objects()) {
    const bool known = std::ranges::any_of(
        index.generations, [&](const Generation& one) { return key.starts_with(kPrefix + one.id + "/"); });
    EXPECT_TRUE(known || key == std::string(kPrefix) + "backup.json") << key;
  }
  expect_restores(kv::TimeMs{clock_.wall_ms() - options.keep_ms});
}

TEST_F(BackupTest, HistoryThatIsGoneMakesANewGeneration) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(100, small_database(Retention::none())));
  // While it is held, nothing is dropped.
  commit_some(100);
  ASSERT_TRUE(db().compact().has_value());
  ship_all();
  EXPECT_EQ(restore()->follower->source().index()->generations.size(), 1U);
  shipper().let_go(db());
  commit_some(100);
  ASSERT_TRUE(db().compact().has_value());
  ship_all();
  auto restored = restore();
  ASSERT_TRUE(restored.has_value());
  const Index& index = *restored->follower->source().index();
  ASSERT_EQ(index.generations.size(), 2U);
  EXPECT_FALSE(index.generations[1].continues);
  expect_same(*restored->database, db().head());
}

// The answer to the put that begins a generation is lost. What is shipped behind it must belong to the one
// that the index then names.
TEST_F(BackupTest, AGenerationThatBeganUnheard) {
  ShipperOptions options = small_objects();
  options.generation_age_ms = 100'000;
  options.keep_ms = 1'000'000'000;
  for (const auto fate : {MemoryObjectStore::Fate::kUnheard, MemoryObjectStore::Fate::kRefused}) {
    new_shipper(options);
    open();
    commit_some(30);
    ship_all();
    clock_.pass_ms(100'000);
    commit_some(10);
    objects_->fate = [&](const std::string& operation, const std::string& key) {
      const bool begins = operation == "put" && key.ends_with("backup.json");
      return begins ? std::exchange(objects_->fate, nullptr), fate : MemoryObjectStore::Fate::kDone;
    };
    round();
    EXPECT_EQ(objects_->fate, nullptr);
    // Soon enough for it to trust that the backup is its own.
    commit_some(5);
    clock_.pass_ms(1'500);
    round();
    for (int i = 0; i < 5; ++i) {
      commit_some(10);
      ASSERT_NO_FATAL_FAILURE(ship_all());
    }
    ASSERT_NO_FATAL_FAILURE(expect_restores_all());
    for (int i = 0; i < 10; ++i)
      ASSERT_NO_FATAL_FAILURE(expect_restores(states_[40 + random_.below(states_.size() - 40)].point.stamp));
  }
}

// Whether an object ends because it is large enough or because there is no more, its name and bytes are the
// same: so what is written again takes the place of what was written.
TEST(LogObjectWriterTest, AnObjectIsTheSameHoweverItCameToItsEnd) {
  const auto write = [](bool more, int puts) {
    LogObjectWriter writer({1, 0}, "session", 64);
    EXPECT_TRUE(writer.on_commit({{2, 0}, 5}, static_cast<uint32_t>(puts)));
    for (int i = 0; i < puts; ++i)
      writer.on_put("ukey" + std::to_string(i), stored(std::string(100, 'v'), 0));
    if (more) {
      EXPECT_FALSE(writer.on_commit({{3, 0}, 6}, 1));
    }
    const auto object = writer.finish();
    EXPECT_TRUE(object.has_value());
    return std::pair(format_name(LogName{1, object->first, object->last}), object->bytes);
  };
  for (const int puts : {1, 2, 5}) EXPECT_EQ(write(false, puts), write(true, puts)) << puts;
}

// The log alone restores nothing: a commit is safe when the snapshot that it follows is there, too.
TEST_F(BackupTest, AGatedCommitIsAnsweredWhenItCanBeRestored) {
  open();
  commit_some(100);
  DatabaseOptions options = small_database();
  options.gated = true;
  open(options);
  std::atomic<bool> refused = true, deaf = false;
  std::atomic<int> answered = 0;
  objects_->fate = [&](const std::string& operation, const std::string& key) {
    const bool of_snapshot = operation == "put" && key.contains("/snapshots/");
    if (operation == "put" && key.ends_with("backup.json") && deaf.exchange(false))
      return MemoryObjectStore::Fate::kUnheard;
    return of_snapshot && refused ? MemoryObjectStore::Fate::kRefused : MemoryObjectStore::Fate::kDone;
  };
  new_shipper();
  const Versionstamp before = db().head();
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    const Versionstamp durable = db().durable();
    writers.emplace_back([&, i] {
      const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
        t.put("ukey/" + std::to_string(i), stored("waits", 0));
        return CommitRequest::Decision::kCommit;
      });
      EXPECT_TRUE(outcome.committed);
      ++answered;
    });
    while (db().durable() == durable) system_clock().sleep_us(100);
    for (int j = 0; j < 5; ++j) {
      clock_.pass_ms(61'000);
      round();
    }
    EXPECT_EQ(shipper().status().shipped.stamp, db().durable());
  }
  EXPECT_EQ(db().head(), before);
  EXPECT_EQ(answered, 0);
  refused = false;
  deaf = true;  // to the answer that it is complete: it attaches anew, with a log above the head
  ship_all();
  EXPECT_FALSE(deaf);
  EXPECT_EQ(db().head(), db().durable());
  db().set_gate_open(true);  // whatever went wrong
  for (std::thread& writer : writers) writer.join();
  objects_->fate = nullptr;
  EXPECT_EQ(std::ranges::count_if(log_, [](const std::string& line) { return line.contains(" begins ("); }),
            1);
  const auto restored = restore();
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(contents(*restored->database->read()), contents(*db().read()));
}

TEST_F(BackupTest, AnImportMakesANewGeneration) {
  open();
  new_shipper();
  ship_all();
  const auto ingest = db().begin_ingest({.starts_history = true});
  const Versionstamp stamp{77, 0};
  ASSERT_TRUE(ingest->add("ukey", stamp, stored("value", 0)).has_value());
  ASSERT_TRUE(ingest->publish({stamp, clock_.wall_ms()}).committed);
  states_.push_back({{stamp, clock_.wall_ms()}, {{"ukey", stamp.hex() + stored("value", 0)}}});
  ship_all();
  expect_restores();
  commit_some(10);
  ship_all();
  expect_restores();
}

// The log cannot tell what an import brings, but for its last commit: so that waits for a snapshot.
TEST_F(BackupTest, AGatedImportIsAnsweredWhenItCanBeRestored) {
  DatabaseOptions options = small_database();
  options.gated = true;
  open(options);
  new_shipper();
  ship_all();
  std::atomic<bool> answered{false};
  CommitOutcome outcome;
  std::thread importer([&] {
    const auto ingest = db().begin_ingest({.starts_history = true});
    for (uint64_t i = 1; i <= 50; ++i) {
      const std::string key = "ukey" + std::string(1, static_cast<char>('A' + i));
      EXPECT_TRUE(ingest->add(key, {i, 0}, stored("value", 0)).has_value());
    }
    outcome = ingest->publish({{50, 0}, clock_.wall_ms()});
    answered = true;
  });
  while (db().durable() == Versionstamp::min()) system_clock().sleep_us(100);
  EXPECT_FALSE(answered);
  EXPECT_EQ(db().pin_head()->versionstamp(), Versionstamp::min());
  // Whoever reads meanwhile finds an empty database.
  EXPECT_EQ(db().horizon(), Versionstamp::min());
  EXPECT_TRUE(db().pin(Versionstamp::min()).has_value());
  EXPECT_EQ(contents(*db().read()).size(), 0u);
  ship_all();
  db().set_gate_open(true);  // whatever went wrong
  importer.join();
  EXPECT_TRUE(outcome.committed);
  const auto restored = restore();
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(contents(*restored->database->read()), contents(*db().read()));
  EXPECT_EQ(contents(*db().read()).size(), 50u);
  EXPECT_EQ(std::ranges::count_if(log_, [](const std::string& line) { return line.contains(" begins ("); }),
            2);
}

TEST_F(BackupTest, ADatabaseOlderThanItsBackupMakesANewGeneration) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(30));
  database_.reset();
  shipper_->release();
  // As if the disk had been set back: another database under the same id.
  TemporaryFolder other;
  auto opened = Database::open(*engine_, other / "db", small_database());
  ASSERT_TRUE(opened.has_value());
  database_ = std::move(*opened);
  states_ = {{}};
  clock_.jump_wall_ms(-3'600'000);
  commit_some(5);
  new_shipper();
  ship_all();
  auto restored = restore();
  ASSERT_TRUE(restored.has_value());
  expect_same(*restored->database, db().head());
  EXPECT_FALSE(restored->follower->source().index()->generations.back().continues);
  restored = Restored();
  database_.reset();
}

TEST_F(BackupTest, OneServerWrites) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(10));
  std::unique_ptr<Shipper> first = std::move(shipper_);
  // A copy of the store takes over, and the first one stops.
  new_shipper();
  commit_some(10);
  ship_all();
  commit_some(10);
  const auto before = objects_->objects().size();
  first->run(db());
  EXPECT_EQ(first->status().state, ShipperState::kFailed);
  EXPECT_NE(first->status().message.find("copy of its store"), std::string::npos) << first->status().message;
  EXPECT_FALSE(first->due(db()));
  EXPECT_LE(objects_->objects().size(), before + 1);
  ship_all();
  // Another server does not get in at all.
  new_shipper(small_objects(), "store-2");
  shipper().run(db());
  EXPECT_EQ(shipper().status().state, ShipperState::kFailed);
  EXPECT_NE(shipper().status().message.find("store-1"), std::string::npos) << shipper().status().message;
  expect_restores();
}

// Two runs over copies of one store: what the first one writes after the second has taken over counts for
// nothing, wherever it stands, and whether or not it can take it back.
TEST_F(BackupTest, WhatAFencedWriterWroteCountsForNothing) {
  for (const bool dies : {false, true}) {
    SCOPED_TRACE(dies);
    objects_->set_objects({});
    std::filesystem::remove_all(folder_ / "db");
    const std::string copy_folder = folder_ / "copy";
    std::filesystem::remove_all(copy_folder);
    states_ = {{}};
    open();
    commit_some(20);
    new_shipper();
    ship_all();
    std::unique_ptr<Shipper> first = std::move(shipper_);
    ASSERT_TRUE(db().close().has_value());
    database_.reset();
    std::filesystem::copy(folder_ / "db", copy_folder);
    open();
    auto copy = Database::open(*engine_, copy_folder, small_database());
    ASSERT_TRUE(copy.has_value()) << copy.error().message;
    const std::vector<State> common = states_;
    commit_some(3);
    new_shipper();
    std::unique_ptr<Shipper> second = std::move(shipper_);
    // The first one's object is on its way when the second takes over.
    bool taken_over = false;
    objects_->fate = [&](const std::string& operation, const std::string& key) {
      if (operation == "put" && key.find("/logs/") != std::string::npos && !std::exchange(taken_over, true))
        second->run(**copy);
      const bool dead = dies && taken_over && (operation == "remove" || operation == "get");
      return dead && second->status().last_success_ms != 0 ? MemoryObjectStore::Fate::kRefused
                                                           : MemoryObjectStore::Fate::kDone;
    };
    first->run(db());
    objects_->fate = nullptr;
    ASSERT_TRUE(taken_over);
    // From here on the copy is the database.
    database_ = std::move(*copy);
    shipper_ = std::move(second);
    states_ = common;
    for (int i = 0; i < 5; ++i) {
      commit_some(3);
      ASSERT_NO_FATAL_FAILURE(ship_all());
    }
    ASSERT_NO_FATAL_FAILURE(expect_restores_all());
    // Another run finds the right end of the log.
    new_shipper();
    commit_some(3);
    ASSERT_NO_FATAL_FAILURE(ship_all());
    ASSERT_NO_FATAL_FAILURE(expect_restores());
    shipper_.reset();
    database_.reset();
  }
}

TEST_F(BackupTest, WhatIsNotOursIsLeftAlone) {
  open();
  commit_some(10);
  objects_->set_objects({{std::string(kPrefix) + "holiday.jpg", "x"}});
  new_shipper();
  shipper().run(db());
  EXPECT_EQ(shipper().status().state, ShipperState::kFailed);
  EXPECT_NE(shipper().status().message.find("holiday.jpg"), std::string::npos);
  EXPECT_EQ(objects_->objects().size(), 1U);

  Index index;
  index.database = "another";
  index.writer = {"store-1", "s", 0};
  const std::string key = std::string(kPrefix) + "backup.json";
  objects_->set_objects({{key, encode(index)}});
  new_shipper();
  shipper().run(db());
  EXPECT_NE(shipper().status().message.find("of another database"), std::string::npos);
  objects_->set_objects({{key, R"({"format": 2})"}});
  new_shipper();
  shipper().run(db());
  EXPECT_NE(shipper().status().message.find("newer version"), std::string::npos)
      << shipper().status().message;
  EXPECT_EQ(objects_->objects().size(), 1U);
}

TEST_F(BackupTest, ARemovedBackupIsBegunAgain) {
  ASSERT_NO_FATAL_FAILURE(open_and_ship(30));
  objects_->set_objects({});
  commit_some(30);
  ship_all();
  expect_restores();
}

// The server dies at each of its requests in turn, heard or unheard; what was called shipped can be restored,
// and another run completes the backup.
TEST_F(BackupTest, DyingAtAnyRequest) {
  using Fate = MemoryObjectStore::Fate;
  for (const Fate last : {Fate::kRefused, Fate::kUnheard, Fate::kHalf}) {
    bool reached = true;
    for (uint64_t k = 1; reached; ++k) {
      SCOPED_TRACE(k);
      objects_->set_objects({});
      objects_->fate = nullptr;
      shipper_.reset();
      database_.reset();
      std::filesystem::remove_all(folder_ / "db");
      states_ = {{}};
      open();
      commit_some(40);
      ShipperOptions options = small_objects();
      options.generation_age_ms = 50'000;
      options.keep_ms = 120'000;
      new_shipper(options);
      uint64_t left = k;
      objects_->fate = [&](const std::string&, const std::string& key) {
        if (left == 0) return Fate::kRefused;
        if (--left > 0) return Fate::kDone;
        return last == Fate::kHalf && !key.ends_with(".bin") ? Fate::kRefused : last;
      };
      for (int i = 0; i < 60 && left > 0; ++i) {
        round();
        clock_.pass_ms(5000);
        if (i % 2 == 0) commit_some(3);
      }
      reached = left == 0;
      const Versionstamp shipped = shipper().status().shipped.stamp;
      objects_->fate = nullptr;
      if (shipper().status().state == ShipperState::kActive) {
        auto restored = restore();
        ASSERT_TRUE(restored.has_value()) << restored.error().message;
        EXPECT_GE(restored->database->head(), shipped);
        ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, restored->database->head()));
      }
      if (random_.one_in(2)) open();
      new_shipper(options);
      commit_some(3);
      ASSERT_NO_FATAL_FAILURE(ship_all());
      ASSERT_NO_FATAL_FAILURE(expect_restores_all());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

class BackupPropertyTest : public BackupTest, public ::testing::WithParamInterface<uint64_t> {};

// A store that fails now and then, a server that is killed now and then, and a replica of which the same is
// true.
TEST_P(BackupPropertyTest, EveryShippedStateIsRestored) {
  using Fate = MemoryObjectStore::Fate;
  random_ = Random(GetParam());
  Random faults(GetParam() + 1000);
  Mutex mutex;
  bool failing = false;
  objects_->fate = [&](const std::string&, const std::string& key) {
    MutexLock lock(mutex);
    if (!failing || !faults.one_in(6)) return Fate::kDone;
    if (key.ends_with(".bin") && faults.one_in(3)) return Fate::kHalf;
    return faults.one_in(2) ? Fate::kRefused : Fate::kUnheard;
  };
  DatabaseOptions options = small_database();
  if (random_.one_in(3)) options.retention = Retention::none();
  ShipperOptions shipping = small_objects();
  shipping.generation_age_ms = 200'000;
  shipping.keep_ms = 700'000;
  open(options);
  new_shipper(shipping);
  std::optional<Restored> replica;
  for (int i = 0; i < 150; ++i) {
    {
      MutexLock lock(mutex);
      failing = random_.one_in(3);
    }
    if (random_.one_in(2)) commit_some(static_cast<int>(random_.below(15)));
    clock_.pass_ms(static_cast<int64_t>(random_.below(4000)));
    for (uint64_t r = random_.below(4); r > 0; --r) round();
    if (random_.one_in(25)) new_shipper(shipping);
    if (random_.one_in(30)) open(options);
    if (random_.one_in(40)) {
      ASSERT_TRUE(db().compact().has_value());
    }
    if (random_.one_in(40)) shipper().let_go(db());
    {
      MutexLock lock(mutex);
      failing = false;
    }
    if (random_.one_in(10) && shipper().status().state == ShipperState::kActive) {
      const Versionstamp shipped = shipper().status().shipped.stamp;
      auto restored = restore();
      ASSERT_TRUE(restored.has_value()) << restored.error().message;
      EXPECT_GE(restored->database->head(), shipped);
      ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, restored->database->head()));
    }
    if (replica && random_.one_in(3)) {
      if (const auto taken = replica->follower->pull(); taken)
        ASSERT_NO_FATAL_FAILURE(expect_same(*replica->database, replica->database->head()));
      else
        replica.reset();
    } else if (!replica && random_.one_in(6)) {
      if (auto begun = restore()) replica = std::move(*begun);
    }
  }
  ASSERT_NO_FATAL_FAILURE(ship_all());
  ASSERT_NO_FATAL_FAILURE(expect_restores_all());
}

INSTANTIATE_TEST_SUITE_P(Seeds, BackupPropertyTest, ::testing::Range<uint64_t>(1, 13));

}  // namespace
}  // namespace tidemark::backup
