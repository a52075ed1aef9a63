// When flushes and merges run: at most one flush, one merge of live segments and one of history per database
// at a time, on the shared lanes. (A long merge of history must not keep level 0 from being merged.)
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/compaction/jobs.h"
#include "engine/compaction/retention.h"
#include "engine/io/executor.h"
#include "engine/io/sync.h"
#include "engine/mvcc/commit_pipeline.h"
#include "engine/mvcc/retention_clock.h"
#include "engine/mvcc/snapshot_registry.h"
#include "engine/mvcc/version_set.h"

namespace tidemark {

// Any thread.
class Background {
 public:
  struct Setup {
    DatabaseOptions options;
    Clock* clock;
    Executor* executor;
    VersionSet* versions;
    SnapshotRegistry* snapshots;
    RetentionClock* retention_clock;
    LogSink log;
  };
  explicit Background(Setup setup);

  // Before the first task.
  void set_pipeline(CommitPipeline* pipeline) { pipeline_ = pipeline; }

  // A memtable was frozen, all in it is durable.
  void schedule_flush() TM_EXCLUDES(mutex_);
  // The files or the horizon may have changed.
  void schedule_compaction() TM_EXCLUDES(mutex_);

  // Waits until nothing is under way or due. The error of a task that failed for good.
  Status wait_idle() TM_EXCLUDES(mutex_);
  // Merges everything down, and waits for it.
  Status compact_fully() TM_EXCLUDES(mutex_);
  void set_retention(const Retention& retention) TM_EXCLUDES(mutex_);
  void set_history_max_bytes(std::optional<uint64_t> max_bytes) TM_EXCLUDES(mutex_);
  // No new tasks; waits for those under way, which give up early.
  void stop() TM_EXCLUDES(mutex_);

  // What was done of one kind of work since the start; what failed is left out.
  struct Work {
    std::atomic<uint64_t> jobs = 0;
    std::atomic<uint64_t> read_bytes = 0;  // of segments, by merges
    std::atomic<uint64_t> written_bytes = 0;
    std::atomic<uint64_t> us = 0;
  };
  const Work& flushes() const { return flushes_; }
  const Work& compactions() const { return compactions_; }

 private:
  void run_flushes() TM_EXCLUDES(mutex_);
  // The merges of one side, one after the other as long as there is a plan.
  enum class Side : uint8_t { kLive, kHistory };
  struct Merging {
    bool running = false;
    bool due = false;
    bool full_wanted = false;
  };
  void run_compaction(Side side) TM_EXCLUDES(mutex_);
  bool flush_due() const;
  Status flush_oldest();
  Status compact_once(Side side, bool& more) TM_EXCLUDES(mutex_);
  Merging& merging(Side side) TM_REQUIRES(mutex_) { return side == Side::kLive ? live_ : history_; }
  bool busy() const TM_REQUIRES(mutex_) { return flushing_ || live_.running || history_.running; }
  Versionstamp move_horizon(const ManifestState& state, Versionstamp flushed, int64_t flushed_timestamp_ms);
  void remove_old_wals();
  void failed(Error error) TM_EXCLUDES(mutex_);
  Retention retention() const TM_EXCLUDES(mutex_);
  std::optional<uint64_t> history_max_bytes() const TM_EXCLUDES(mutex_);

  const DatabaseOptions options_;
  Clock& clock_;
  Executor& executor_;
  VersionSet& versions_;
  SnapshotRegistry& snapshots_;
  const LogSink log_;
  CommitPipeline* pipeline_ = nullptr;
  RetentionClock& retention_clock_;

  mutable Mutex mutex_;
  CondVar idle_;
  bool flushing_ TM_GUARDED_BY(mutex_) = false;
  Merging live_ TM_GUARDED_BY(mutex_);
  Merging history_ TM_GUARDED_BY(mutex_);
  bool held_back_ TM_GUARDED_BY(mutex_) = false;  // the disk is full
  Retention retention_ TM_GUARDED_BY(mutex_);
  std::optional<uint64_t> history_max_bytes_ TM_GUARDED_BY(mutex_);
  std::optional<Error> failure_ TM_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_ = false;

  CompactionCursors cursors_;  // of the live side
  Work flushes_;
  Work compactions_;
  bool ceiling_warned_ = false;
};

}  // namespace tidemark
