// What tests of backups share: a database, a model of all its states, a store of objects.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/random.h"
#include "engine/database.h"
#include "server/backup/follower.h"
#include "server/backup/shipper.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/temporary_folder.h"

namespace tidemark::backup {

using KeyValues = std::map<std::string, std::string>;

inline constexpr char kPrefix[] = "backups/0a0a/";

// Sizes that make a few hundred entries fill several objects.
inline ShipperOptions small_objects() {
  ShipperOptions options;
  options.interval_us = 0;
  options.log_object_bytes = 2048;
  options.snapshot_object_bytes = 1024;
  return options;
}

inline DatabaseOptions small_database(const Retention& retention = Retention::forever()) {
  DatabaseOptions options;
  options.memtable_bytes = 16 << 10;
  options.segment_bytes = 16 << 10;
  options.level1_bytes = 48 << 10;
  options.block_bytes = 512;
  options.retention = retention;
  return options;
}

// What the engine holds of a value.
std::string stored(const std::string& data, int64_t expire_at_ms);

// All that a backup holds of a view: everything but the server's bookkeeping.
KeyValues contents(const ReadView& view);

class BackupTest : public ::testing::Test {
 protected:
  struct State {
    CommitPoint point;
    KeyValues values;
  };

  BackupTest();
  ~BackupTest() override;

  void open(const DatabaseOptions& options = small_database());
  Database& db() { return *database_; }
  // Commits random sets (some of which expire), deletes and queue messages; a few are empty.
  void commit_some(int commits);
  const KeyValues& state_at(Versionstamp stamp) const;

  // Another run of a server over the store of this name.
  void new_shipper(const ShipperOptions& options = small_objects(), const std::string& store = "store-1");
  Shipper& shipper() { return *shipper_; }
  // One round, and what can be done of a snapshot.
  void round();
  // Another run over a database with so many commits more, all of them shipped.
  void open_and_ship(int commits, const DatabaseOptions& options = small_database());
  // Until all is shipped and the snapshot is complete. Fails the test if that takes many rounds.
  void ship_all();

  // A new database from what is in the objects now. Null, and a failure, if that cannot be.
  struct Restored {
    std::unique_ptr<Database> database;
    std::unique_ptr<Follower> follower;
  };
  Result<Restored> restore(const std::optional<kv::MomentName>& until = {},
                           const std::string& prefix = kPrefix);
  // Restores the newest moment: it is the database's head, and everything is as in the model.
  void expect_restores_all();
  // Restores as of that moment, and compares everything from the horizon on with the model.
  void expect_restores(const std::optional<kv::MomentName>& until = {});
  // All states of the database from its horizon on are those of the model; the last is that of `head`.
  void expect_same(Database& database, Versionstamp head);

  Random random_{1};
  TemporaryFolder folder_;
  FakeClock clock_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
  std::shared_ptr<MemoryObjectStore> objects_ = std::make_shared<MemoryObjectStore>();
  std::unique_ptr<Shipper> shipper_;
  std::vector<State> states_{{}};
  int sessions_ = 0;
  int restores_ = 0;
  std::vector<std::string> log_;
};

}  // namespace tidemark::backup
