#include "tests/server/backup/backup_test.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "server/backup/object_fetch.h"
#include "server/backup/verify.h"
#include "server/kv/queue_message.h"
#include "tests/support/shipper_round.h"

namespace tidemark::backup {
namespace {

constexpr int kRounds = 400;

std::string stored(const std::string& data, int64_t expire_at_ms) {
  std::string out;
  kv::append_stored_value(out, {kv::Encoding::kBytes, expire_at_ms, data});
  return out;
}

}  // namespace

KeyValues contents(const ReadView& view) {
  KeyValues out;
  const std::string start(1, kv::kExpiryPrefix);
  auto cursor = view.scan({.start = start, .end = {}});
  while (true) {
    auto more = cursor->next();
    EXPECT_TRUE(more.has_value()) << more.error().message;
    if (!more || !*more) return out;
    // With its stamp: that must be the same, too.
    out.emplace(cursor->key(), cursor->versionstamp().hex() + std::string(cursor->value()));
  }
}

BackupTest::BackupTest() {
  EngineComponents components;
  components.clock = &clock_;
  engine_ = Engine::create({.block_cache_bytes = 1 << 20, .max_open_segments = 64}, components);
}

BackupTest::~BackupTest() {
  if (shipper_) shipper_->release();
  shipper_.reset();
  database_.reset();
}

void BackupTest::open(const DatabaseOptions& options) {
  if (shipper_) shipper_->release();
  database_.reset();
  auto opened = Database::open(*engine_, folder_ / "db", options);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  database_ = std::move(*opened);
}

void BackupTest::commit_some(int commits) {
  for (int i = 0; i < commits; ++i) {
    clock_.pass_ms(static_cast<int64_t>(random_.below(20)));
    State next = states_.back();
    std::vector<std::pair<std::string, std::optional<std::string>>> writes;
    const auto put = [&](const std::string& key, const std::string& value) {
      writes.emplace_back(key, value);
    };
    for (uint64_t w = random_.below(5); w > 0; --w) {
      const std::string key = "key/" + std::to_string(random_.below(24) * 5 + w);
      if (random_.one_in(4)) {
        writes.emplace_back("u" + key, std::nullopt);
      } else {
        const int64_t expiry = random_.one_in(5) ? clock_.wall_ms() + 1000 : 0;
        put("u" + key,
            stored(std::string(random_.below(150), static_cast<char>('a' + random_.below(26))), expiry));
        if (expiry != 0) put(kv::expiry_key_from(expiry) + key, "");
      }
    }
    if (random_.one_in(6)) {
      std::string message;
      kv::append_queue_message(message, {.payload = "message"});
      put(kv::queue_key(clock_.wall_ms(), {random_.next() >> 8, 0}, 0), message);
    }
    // What an expiry sweep and a delivery do.
    for (const auto& [key, value] : states_.back().values) {
      if ((key[0] != kv::kExpiryPrefix && key[0] != kv::kQueuePrefix) || !random_.one_in(8)) continue;
      writes.emplace_back(key, std::nullopt);
    }
    const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
      for (const auto& [key, value] : writes) {
        if (value)
          t.put(key, *value);
        else
          t.erase(key);
      }
      return CommitRequest::Decision::kCommit;
    });
    ASSERT_TRUE(outcome.committed) << outcome.status.error().message;
    for (const auto& [key, value] : writes) {
      if (value)
        next.values[key] = outcome.versionstamp.hex() + *value;
      else
        next.values.erase(key);
    }
    next.point = {outcome.versionstamp, outcome.timestamp_ms};
    states_.push_back(std::move(next));
  }
}

const KeyValues& BackupTest::state_at(Versionstamp stamp) const {
  const auto above =
      std::ranges::upper_bound(states_, stamp, {}, [](const State& s) { return s.point.stamp; });
  return (above - 1)->values;
}

void BackupTest::new_shipper(const ShipperOptions& options, const std::string& store) {
  if (shipper_) shipper_->release();
  const LogSink log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); };
  shipper_ = std::make_unique<Shipper>(
      clock_, objects_, kPrefix,
      ShipperIdentity{"database-1", "default", store, "session-" + std::to_string(++sessions_)}, options,
      log);
}

void BackupTest::round() {
  run_round(shipper(), db());
}

void BackupTest::ship_all() {
  for (int i = 0; i < kRounds; ++i) {
    if (shipper().idle(db())) return;
    clock_.pass_ms(1);
    if (!shipper().due(db())) clock_.pass_ms(61'000);
    round();
  }
  FAIL() << "not shipped after many rounds: " << shipper().status().message;
}

Result<BackupTest::Restored> BackupTest::restore(const std::optional<kv::MomentName>& until,
                                                 const std::string& prefix) {
  const std::string name = "restored-" + std::to_string(++restores_);
  const std::string scratch = folder_ / (name + "-scratch");
  TM_TRY(engine_->file_system().create_dir(scratch));
  Restored out;
  TM_ASSIGN(out.database, Database::open(*engine_, folder_ / name, small_database()));
  FollowerOptions options;
  options.scratch_folder = scratch;
  options.stretch_bytes = restores_ % 2 == 0 ? SnapshotLoad::kStretchBytes : 3000;
  TM_ASSIGN(out.follower, Follower::open(*engine_, *out.database, *objects_, prefix, options));
  TM_TRY(out.follower->begin(until));
  TM_TRY(out.follower->pull(until));
  return out;
}

void BackupTest::expect_same(Database& database, Versionstamp head) {
  ASSERT_EQ(contents(*database.read()), state_at(head));
  for (const State& state : states_) {
    if (state.point.stamp < database.horizon() || state.point.stamp > database.head()) continue;
    auto pin = database.pin(state.point.stamp);
    ASSERT_TRUE(pin.has_value()) << pin.error().message;
    ASSERT_EQ(contents(*database.read(**pin)), state.values) << state.point.stamp.hex();
    const auto commit = database.last_commit(state.point.stamp, INT64_MAX);
    ASSERT_TRUE(commit.has_value());
    if (state.point.stamp > database.horizon()) {
      ASSERT_EQ(*commit, state.point);
    }
  }
}

void BackupTest::expect_restores_all() {
  const Result<Restored> restored = restore();
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  ASSERT_EQ(restored->database->head(), db().head());
  ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, db().head()));
}

void BackupTest::expect_restores(const std::optional<kv::MomentName>& until) {
  Result<Restored> restored = restore(until);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, restored->database->head()));
}

namespace {

TEST_F(BackupTest, SnapshotAndLogGiveEveryState) {
  open();
  commit_some(300);
  new_shipper();
  ship_all();
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

TEST_F(BackupTest, AReplicaFollows) {
  open();
  commit_some(50);
  new_shipper();
  ship_all();
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
  DatabaseOptions options = small_database();
  options.retention = Retention::none();
  open(options);
  commit_some(100);
  new_shipper();
  ship_all();
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

// A generation that never became complete stands between the one that a replica follows and the next one.
TEST_F(BackupTest, AReplicaDoesNotWaitForAGenerationThatWasGivenUp) {
  DatabaseOptions options = small_database();
  options.retention = Retention::none();
  open(options);
  commit_some(50);
  new_shipper();
  ship_all();
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

TEST_F(BackupTest, ADatabaseOlderThanItsBackupMakesANewGeneration) {
  open();
  commit_some(30);
  new_shipper();
  ship_all();
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
  open();
  commit_some(10);
  new_shipper();
  ship_all();
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

// A moment at the end of a generation that the next one does not continue, and one in the gap behind it.
TEST_F(BackupTest, MomentsBeforeAGapAreRestored) {
  DatabaseOptions options = small_database();
  options.retention = Retention::none();
  open(options);
  commit_some(50);
  new_shipper();
  ship_all();
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
  open();
  commit_some(50);
  new_shipper();
  ship_all();
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
  open();
  commit_some(30);
  new_shipper();
  ship_all();
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
