// The backups of all databases of a server: who is due, and on which threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/log.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/backup/object_store.h"
#include "server/backup/shipper.h"

namespace tidemark::backup {

// Memory is bounded by the objects under way: those of at most as many databases as the backup lane has
// threads. A database in which nothing happens costs no request.
//
// Any thread, but for the destructor.
class BackupService {
 public:
  // One database that is open and to be backed up.
  struct Offer {
    ShipperIdentity identity;
    std::shared_ptr<Database> database;  // held while there is something to ship
    std::shared_ptr<ObjectStore> store;
    std::string prefix;  // of this database's backup
  };
  struct Report {
    ShipperIdentity identity;
    ShipperStatus status;
  };

  BackupService(Engine& engine, const ShipperOptions& options, LogSink log);
  // REQUIRES: stop() was called.
  ~BackupService();

  // To be called several times a second with all that are open: begins what is due. What is no longer offered
  // is let go of; one whose store or prefix has changed begins anew. Does not block.
  void poll(const std::vector<Offer>& offers);
  // Nothing more is kept of the past for backups that have fallen behind: the disk is short of space.
  void let_go();
  // Of all that were ever offered.
  std::vector<Report> reports() const;

  // Ships what is left, for at most so long, then ends everything. Blocks.
  void stop(int64_t timeout_us);

 private:
  struct Entry {
    ShipperIdentity identity;
    std::shared_ptr<ObjectStore> store;
    std::string prefix;
    std::unique_ptr<Shipper> shipper;
    std::shared_ptr<Database> database;  // null while there is nothing to do
    std::weak_ptr<Database> known;
    bool offered = false;  // by the last poll()
    bool running = false;
    int snapshot_tasks = 0;
    std::atomic<bool> kicked{false};
    bool under_way() const { return running || snapshot_tasks > 0; }
  };
  using EntryRef = std::shared_ptr<Entry>;

  void poll_all(const std::vector<Offer>& offers, std::vector<std::shared_ptr<Database>>& let_go,
                std::vector<std::pair<EntryRef, std::shared_ptr<Database>>>& opened) TM_EXCLUDES(mutex_);
  EntryRef entry_for(const Offer& offer) TM_REQUIRES(mutex_);
  void start_due(const EntryRef& entry) TM_REQUIRES(mutex_);
  void run_round(const EntryRef& entry);
  // Has a gated database tell when there is something to ship; no longer, if it is null.
  void listen(const EntryRef& entry, const std::shared_ptr<Database>& database);
  void kick(const EntryRef& entry);
  void run_snapshot(const EntryRef& entry, const std::shared_ptr<SnapshotUpload>& upload);
  void forget(const EntryRef& entry, std::vector<std::shared_ptr<Database>>& let_go) TM_REQUIRES(mutex_);
  bool all_idle() const TM_REQUIRES(mutex_);

  Engine& engine_;
  const ShipperOptions options_;
  const LogSink log_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, EntryRef> entries_ TM_GUARDED_BY(mutex_);  // by the database's id
  int tasks_ TM_GUARDED_BY(mutex_) = 0;
  int snapshots_ TM_GUARDED_BY(mutex_) = 0;  // databases whose snapshot is being written
  bool stopping_ TM_GUARDED_BY(mutex_) = false;
  std::atomic<int> kicks_{0};  // tasks that somebody was to be told by
};

// How far behind a backup is. Sizes in bytes, of keys and values.
struct Lag {
  uint64_t commits = 0;
  uint64_t bytes = 0;
  int64_t ms = 0;         // since the oldest commit that was not shipped
  bool at_least = false;  // there are more: it was not counted further
};
// Reads what was not shipped, up to a bound.
Result<Lag> measure_lag(const Database& database, const CommitPoint& shipped, int64_t now_ms);

}  // namespace tidemark::backup
