// Brings one database into its backup: a snapshot, then the log, for ever.
//
// What has been shipped is known from the bucket alone, so nothing is lost with the server's memory or disk.
// Until a commit is in the bucket, the database holds it: the shipper tells it from where on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/commit_point.h"
#include "engine/base/log.h"
#include "engine/database.h"
#include "engine/io/clock.h"
#include "engine/io/sync.h"
#include "server/backup/index.h"
#include "server/backup/object_names.h"
#include "server/backup/object_store.h"
#include "server/backup/snapshot_upload.h"
#include "server/backup/source.h"

namespace tidemark::backup {

struct ShipperOptions {
  // The databases are gated, and their commits wait for this: no time is taken to make objects larger.
  bool immediate = false;
  int64_t interval_us = 1'000'000;  // between objects of the log, while they are small
  uint64_t log_object_bytes = uint64_t{4} << 20;
  uint64_t snapshot_object_bytes = uint64_t{8} << 20;
  // A generation is followed by another when it is so old, and something was written since.
  int64_t generation_age_ms = int64_t{7} * 24 * 3600 * 1000;
  // What is older can no longer be restored; at least the newest complete generation is kept.
  int64_t keep_ms = int64_t{30} * 24 * 3600 * 1000;
};

// Whose backup this is.
struct ShipperIdentity {
  std::string database;  // its id
  std::string name;      // for people
  std::string store;     // the id of the server's store
  std::string session;   // of this run of the server
};

enum class ShipperState : uint8_t {
  kPending,  // the log cannot be restored yet, for lack of a snapshot before it
  kActive,
  kFailed,  // it needs somebody to see to it; it is tried again now and then
};

struct ShipperStatus {
  ShipperState state = ShipperState::kPending;
  std::string message;          // what is wrong, for people; empty: nothing
  std::string prefix;           // of the newest complete generation, else of the one being made; may be empty
  CommitPoint shipped;          // all up to here is in the bucket
  int64_t last_success_ms = 0;  // of a request, since 1970; 0: never
  uint64_t log_objects = 0;     // written by this run
  uint64_t log_bytes = 0;
  uint64_t snapshot_bytes = 0;
  uint64_t snapshot_entries = 0;  // of the snapshot being written
};

class Shipper {
 public:
  // `prefix`: of the database's backup, with a slash at its end.
  Shipper(Clock& clock, std::shared_ptr<ObjectStore> store, std::string prefix, ShipperIdentity identity,
          const ShipperOptions& options, LogSink log);

  // Whether run() has something to do now. Any thread.
  bool due(const Database& database) const;
  // One round: blocks on the network. If another server has become the primary, the database takes no more
  // commits afterwards. Bounded in memory by the size of an object. One thread at a time.
  void run(Database& database);
  // The snapshot being written, or null: others may help (SnapshotUpload::run). Any thread.
  std::shared_ptr<SnapshotUpload> snapshot() const;
  // It could not be written. Any thread.
  void snapshot_failed(const Error& error);
  // Whether all that was committed is in the bucket, and the database may be closed. Any thread.
  bool idle(const Database& database) const;
  // Keeps nothing of the past for the backup any more, until something was shipped: the disk is short of
  // space. If what is missing is dropped so, a new generation begins. Any thread.
  void let_go(Database& database);
  // The database was opened anew: if another server is the primary, it takes no commits. Any thread.
  void adopt(Database& database) const;
  // The database is about to be closed. Nothing else is under way.
  void release();

  ShipperStatus status() const;

 private:
  Status step(Database& database);
  Status attach(Database& database);
  Status find_position(Database& database);
  // How a generation's log ends.
  struct LogEnd {
    std::optional<LogName> last;  // the last object that is whole and counts
    std::optional<LogName> torn;  // one behind it that is there in part only
    uint64_t number = 0;          // the highest of any object; 0: there is none
  };
  Result<LogEnd> end_of_log();
  // Objects with this number or a higher one, in their order, at most so many.
  Result<std::vector<NamedLogObject>> log_objects(uint64_t from, int keys);
  Status begin_generation(Database& database, const std::string& reason, bool continues);
  Status start_snapshot(Database& database);
  void drop_snapshot();
  Status finish_snapshot(Database& database);
  // The next object of the log, if something is to be shipped; whether one was written.
  Result<bool> ship_log(Database& database);
  Status put_log_object(const std::string& key, const std::string& bytes);
  Status check_ownership();
  // An object that was written while somebody else had taken over: it counts for nothing, and is removed
  // where that is certain.
  void remove_stray(const std::string& key, Versionstamp after);
  Status write_index(Index index);
  Status age(Database& database);
  Status prune();
  Status fence(const Index& theirs);
  // Of this run, though perhaps of an earlier session.
  bool is_ours(const Writer& writer) const;
  void set_position(Database& database, const CommitPoint& position);
  // The database releases what can be restored now, whatever happens here, and holds what is not shipped.
  void move_on(Database& database) const;
  // A generation that begins at `snapshot` has its log from here on.
  static CommitPoint log_begin(const Database& database, Versionstamp snapshot);
  std::string generation_prefix() const { return prefix_ + index_.generations.back().id + "/"; }
  CommitPoint shipped() const;
  void note(const Status& outcome);
  void say(LogLevel level, const std::string& line) const;

  Clock& clock_;
  const std::shared_ptr<ObjectStore> store_;
  const std::string prefix_;
  const ShipperIdentity identity_;
  const ShipperOptions options_;
  const LogSink log_;

  // Of run().
  bool attached_ = false;
  bool was_attached_ = false;
  std::string session_;   // of the last attempt to attach
  bool removed_ = false;  // the backup that we were attached to
  Index index_;
  std::string index_tag_;
  uint64_t next_object_ = 1;            // the number of the next object of the log
  std::optional<Versionstamp> trying_;  // where an object ends that may or may not have been written
  int64_t pause_us_ = 0;                // after failures
  int64_t looked_at_age_ms_ = 0;
  int64_t owned_us_ = 0;  // when the backup was last seen to be ours; monotonic

  std::atomic<int64_t> due_us_{0};       // monotonic
  std::atomic<bool> busy_{true};         // there is something to do even if nothing was committed
  std::atomic<bool> fenced_{false};      // somebody else writes: nothing is done any more
  std::atomic<bool> superseded_{false};  // another server does, as the primary
  std::atomic<bool> let_go_{false};
  std::atomic<bool> failing_{false};  // the last round
  mutable Mutex mutex_;
  CommitPoint shipped_ TM_GUARDED_BY(mutex_);
  std::shared_ptr<SnapshotUpload> snapshot_ TM_GUARDED_BY(mutex_);
  ShipperStatus status_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::backup
