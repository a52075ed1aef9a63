// Snapshots made into segments by several threads, one step after the other here.
#include "server/backup/snapshot_load.h"

#include <gtest/gtest.h>

#include <set>

#include "server/backup/log_object.h"
#include "server/backup/snapshot_object.h"
#include "server/kv/stored_value.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/pumped_executor.h"
#include "tests/support/temporary_folder.h"

namespace tidemark::backup {
namespace {

constexpr int kRanges = 30, kEntries = 10;
constexpr CommitPoint kVersion{{77, 0}, 1000};

std::string key_of(int entry) {
  return "u" + std::to_string(10'000 + entry);
}

std::string range_bytes(int number, const CommitPoint& version = kVersion) {
  SnapshotRangeWriter writer(version, 0);
  for (int i = number * kEntries; i < (number + 1) * kEntries; ++i) {
    std::string value;
    kv::append_stored_value(value,
                            {kv::Encoding::kBytes, i % 3 == 0 ? 5000 : 0, "value " + std::to_string(i)});
    EXPECT_TRUE(writer.add(key_of(i), {static_cast<uint64_t>(i % 77 + 1), 0}, value).has_value());
  }
  return writer.finish();
}

class SnapshotLoadTest : public ::testing::Test {
 protected:
  SnapshotLoadTest() {
    EngineComponents components;
    components.clock = &clock_;
    components.executor = &executor_;
    engine_ = Engine::create({}, components);
    for (int i = 0; i < kRanges; ++i) put(i, range_bytes(i));
    store_.fate = [this](const std::string& operation, const std::string& key) {
      gets_.insert(key);
      clock_.pass_ms(get_ms_);
      return key == refused_ ? MemoryObjectStore::Fate::kRefused : MemoryObjectStore::Fate::kDone;
    };
  }

  static std::string name(int i) { return "range-" + std::to_string(100 + i); }
  void put(int i, std::string bytes) {
    auto all = store_.objects();
    all[name(i)] = std::move(bytes);
    store_.set_objects(std::move(all));
  }

  // All of it, into a new database.
  Status load(uint64_t stretch_bytes = 1) {
    gets_.clear();
    Status status;
    executor_.run_beside([&] { status = try_load(stretch_bytes); });
    return status;
  }
  Status try_load(uint64_t stretch_bytes) {
    database_.reset();
    TM_ASSIGN(database_, Database::open(*engine_, folder_ / std::to_string(++databases_), {}));
    std::vector<ObjectInfo> ranges;
    for (const auto& [key, bytes] : store_.objects()) ranges.push_back({key, bytes.size(), 0});
    const std::string kept = folder_ / "kept";
    TM_ASSIGN(const bool exists, engine_->file_system().exists(kept));
    if (!exists) TM_TRY(engine_->file_system().create_dir(kept));
    SnapshotLoad::Options options;
    options.indexed = indexed_;
    options.stretch_bytes = stretch_bytes;
    options.kept = KeptObjects(engine_->file_system(), kept, true);
    options.progress = [this](uint64_t objects, uint64_t) { progress_.push_back(objects); };
    SnapshotLoad load(*engine_, *database_, store_, ranges, std::move(options));
    const auto whole = database_->begin_ingest({.starts_history = true});
    for (;;) {
      TM_ASSIGN(auto stretch, load.next());
      version_ = load.version();
      if (stretch == nullptr) break;
      TM_TRY(whole->append(std::move(stretch)));
    }
    return version_ ? whole->publish(*version_).status : Status();
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  PumpedExecutor executor_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
  MemoryObjectStore store_;
  bool indexed_ = true;
  int databases_ = 0;
  int64_t get_ms_ = 0;
  std::string refused_;
  std::multiset<std::string> gets_;
  std::vector<uint64_t> progress_;
  std::optional<CommitPoint> version_;
};

TEST_F(SnapshotLoadTest, LoadsAllWhateverTheStretches) {
  for (const uint64_t stretch_bytes : {1, 700, 3000, 1 << 20}) {
    SCOPED_TRACE(stretch_bytes);
    progress_.clear();
    const Status loaded = load(stretch_bytes);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(version_, kVersion);
    EXPECT_EQ(database_->head(), kVersion.stamp);
    EXPECT_TRUE(std::ranges::is_sorted(progress_));
    ASSERT_FALSE(progress_.empty());
    EXPECT_EQ(progress_.back(), uint64_t{kRanges});
    const auto view = database_->read();
    const auto cursor = view->scan({});
    for (int i = 0; i < kRanges * kEntries; ++i) {
      ASSERT_TRUE(cursor->next().value());
      EXPECT_EQ(cursor->key(), key_of(i));
      EXPECT_EQ(cursor->versionstamp().number, static_cast<uint64_t>(i % 77 + 1));
      const auto value = kv::parse_stored_value(cursor->value());
      ASSERT_TRUE(value.has_value());
      EXPECT_EQ(value->data, "value " + std::to_string(i));
      EXPECT_EQ(value->expire_at_ms, i % 3 == 0 ? 5000 : 0);
    }
    EXPECT_FALSE(cursor->next().value());
  }
}

TEST_F(SnapshotLoadTest, WhatASlowStoreGaveIsNotReadAgain) {
  for (const int64_t get_ms : {0, 10}) {
    SCOPED_TRACE(get_ms);
    get_ms_ = get_ms;
    refused_ = name(25);
    const Status failed = load();
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
    const size_t read = gets_.size();
    refused_.clear();
    ASSERT_TRUE(load().has_value());
    // Of the very first object it could not be told that the store is slow.
    if (get_ms == 0) {
      EXPECT_EQ(gets_.size(), size_t{kRanges});
    } else {
      EXPECT_GE(read, 20u);
      EXPECT_LE(gets_.size(), kRanges - read + 2);
    }
  }
}

TEST_F(SnapshotLoadTest, RangesThatDoNotBelongTogetherAreRefused) {
  put(20, range_bytes(20, {{78, 0}, 1000}));
  EXPECT_EQ(load().error().code, ErrorCode::kCorruption);
  put(20, range_bytes(19));
  EXPECT_EQ(load().error().code, ErrorCode::kInvalidArgument);
  std::string damaged = range_bytes(20);
  damaged[40] ^= 1;
  put(20, damaged);
  const Status status = load();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCorruption);
  EXPECT_NE(status.error().message.find(name(20)), std::string::npos) << status.error().message;
}

TEST_F(SnapshotLoadTest, ASnapshotOfAnotherKindIsLeftToOthers) {
  indexed_ = false;
  pb::BackupSnapshotRange range;
  range.add_data_list()->set_key("dkey");
  range.add_metadata_list()->set_key("mkey");
  for (int i = 0; i < kRanges; ++i) put(i, range.SerializeAsString());
  ASSERT_TRUE(load().has_value());
  EXPECT_FALSE(version_);
  EXPECT_EQ(database_->head(), Versionstamp::min());
}

TEST_F(SnapshotLoadTest, NoRangesMakeNothing) {
  store_.set_objects({});
  ASSERT_TRUE(load().has_value());
  EXPECT_FALSE(version_);
}

}  // namespace
}  // namespace tidemark::backup
