// A snapshot on its way into a generation, written by as many threads as care to help.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/base/status.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/backup/object_store.h"
#include "server/kv/keyspace_scan.h"

namespace tidemark::backup {

// The ranges are the same whenever the snapshot is written again with the same size of objects, so one that
// was interrupted is gone on with. Any thread. Must not outlive the database.
class SnapshotUpload {
 public:
  // Of the commit that is pinned, and its time, into the generation with this prefix.
  SnapshotUpload(const Database& database, std::shared_ptr<Snapshot> snapshot, int64_t timestamp_ms,
                 ObjectStore& store, std::string prefix, uint64_t object_bytes);

  // Finds what is there already. Once, before the others.
  Status resume();
  // Writes the next range; whether to call it again. Not while one that was begun long before is still being
  // written, so that it is known which ones an interruption may leave in part. An error ends the upload: make
  // another one.
  Result<bool> run();
  // Whether all ranges are written.
  bool done() const;
  // How many there are. REQUIRES: done.
  uint64_t ranges() const;
  // Removes what an earlier, unfinished upload left behind the last range. REQUIRES: done.
  Status remove_leftovers();

  CommitPoint version() const { return {snapshot_->versionstamp(), timestamp_ms_}; }
  uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // The next range, or nothing; its number.
  Result<std::optional<std::string>> read_range(uint64_t& number) TM_REQUIRES(scan_mutex_);

  const Database& database_;
  const std::shared_ptr<Snapshot> snapshot_;
  const int64_t timestamp_ms_;
  ObjectStore& store_;
  const std::string prefix_;
  const uint64_t object_bytes_;
  mutable Mutex scan_mutex_;  // held while a range is read, not while it is written
  std::unique_ptr<kv::KeyspaceScan> scan_ TM_GUARDED_BY(scan_mutex_);
  bool have_entry_ TM_GUARDED_BY(scan_mutex_) = false;  // of the scan, for the next range
  bool ended_ TM_GUARDED_BY(scan_mutex_) = false;
  bool failed_ TM_GUARDED_BY(scan_mutex_) = false;
  uint64_t next_ TM_GUARDED_BY(scan_mutex_) = 0;
  std::set<uint64_t> writing_ TM_GUARDED_BY(scan_mutex_);

  std::atomic<uint64_t> entries_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace tidemark::backup
