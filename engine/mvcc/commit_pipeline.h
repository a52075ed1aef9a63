// The write path: from queued transactions to durable, visible, answered commits.
//
// Two roles, each taken by whatever thread is at hand (a caller that waits, or one of the commit lane), never
// by two at once. The validator runs queued transactions in order against the newest state, stages them in a
// WAL record and puts their writes into the memtable, above the head and so unseen. The syncer takes all
// records that are ready as one group: one write each, one sync, then the head moves and the group is
// answered (of a gated database when the gate lets it pass). So a group is what was validated while the one
// before was being synced.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/histogram.h"
#include "engine/base/log.h"
#include "engine/format/wal_payload.h"
#include "engine/io/clock.h"
#include "engine/io/executor.h"
#include "engine/io/sync.h"
#include "engine/mvcc/commit_gate.h"
#include "engine/mvcc/head.h"
#include "engine/mvcc/request_list.h"
#include "engine/mvcc/retention_clock.h"
#include "engine/mvcc/version_set.h"
#include "engine/options.h"
#include "engine/transaction.h"
#include "engine/wal/wal_writer.h"

namespace tidemark {

struct CommitCounters {
  std::atomic<uint64_t> commits = 0;
  std::atomic<uint64_t> groups = 0;
  std::atomic<uint64_t> syncs = 0;
  std::atomic<uint64_t> delay_us = 0;
  Histogram group_commits;
  Histogram sync_us;
};

// Finished segments, when their turn comes.
class IngestSource {
 public:
  virtual ~IngestSource() = default;
  // Called by the validator when everything committed before is durable and in segments, and nothing else is
  // validated meanwhile. `before` is the last commit, `next` and `timestamp_ms` what a commit would be given
  // now. Gives what is to be published, whose files and folder entries are durable and which lives as long as
  // the source; nullptr: nothing. Must not wait for commits.
  virtual Result<const WalIngest*> finish(const Head::Value& before, Versionstamp next,
                                          int64_t timestamp_ms) = 0;
  // It is published, and nobody has been told yet. Short.
  virtual void published() = 0;
};

class CommitPipeline {
 public:
  struct Setup {
    DatabaseOptions options;
    Clock* clock;
    Executor* executor;
    VersionSet* versions;
    RetentionClock* retention_clock;
    uint8_t epoch;
    Head::Value last;                 // of recovery
    std::unique_ptr<WalWriter> wal;   // started
    std::function<void()> on_frozen;  // a memtable waits for its flush; must not block
    LogSink log;
  };
  explicit CommitPipeline(Setup setup);
  // REQUIRES: close() was called.
  ~CommitPipeline() = default;

  void submit(CommitRequest& request) TM_EXCLUDES(mutex_);
  CommitOutcome commit(CommitRequest& request) TM_EXCLUDES(mutex_);
  // Publishes finished segments: one record names them, then they are part of the database, all at once. What
  // was committed before is in segments by then (so that what is published lies above it for every reader):
  // writers wait for that flush, and for `source` to finish. kInvalidArgument unless every stamp is above the
  // last commit; errors of the source.
  CommitOutcome ingest(IngestSource& source) TM_EXCLUDES(mutex_);
  Head::Value head() const { return head_.get(); }

  // Of a gated database (DatabaseOptions::gated): as in database.h.
  Versionstamp durable() const { return options_.gated ? durable_.get().stamp : head_.get().stamp; }
  void release(Versionstamp up_to) TM_EXCLUDES(mutex_);
  void set_gate_open(bool open) TM_EXCLUDES(mutex_);
  bool end_gate() TM_EXCLUDES(mutex_);
  void set_durable_hook(std::function<void()> hook) TM_EXCLUDES(hook_mutex_);

  // Freezes the active memtable if it holds anything, and waits until all in it is durable; not for
  // release().
  Status freeze() TM_EXCLUDES(mutex_);
  // The next transaction is preceded by freezing the active memtable, if that holds anything.
  void want_freeze() TM_EXCLUDES(mutex_);
  // Something that writers may have been waiting for has changed (a flush ended).
  void kick() TM_EXCLUDES(mutex_);
  // From now on commits are refused with this error (a background failure). The first call counts.
  void refuse(Error error) TM_EXCLUDES(mutex_);
  // Frozen memtables cannot be flushed for lack of space: commits that would need another are refused
  // meanwhile.
  void set_disk_full(bool full) TM_EXCLUDES(mutex_);

  // What a commit would be refused with now, if it would.
  Status accepts() const TM_EXCLUDES(mutex_);

  // Refuses new commits, finishes those it has, writes the final promise.
  Status close() TM_EXCLUDES(mutex_);

  const CommitCounters& counters() const { return counters_; }
  uint8_t epoch() const { return epoch_.load(std::memory_order_relaxed); }
  // For the commits to come. REQUIRES: at least the one before.
  void set_epoch(uint8_t epoch) { epoch_.store(epoch, std::memory_order_relaxed); }
  uint64_t wal_bytes() const { return wal_bytes_.load(std::memory_order_relaxed); }

 private:
  // A WAL record in the making, and who is answered when it is durable.
  struct Batch {
    std::string record;
    uint64_t base = 0;  // its offset in the WAL file
    uint64_t commits = 0;
    Head::Value last;
    std::shared_ptr<WalWriter> wal;
    bool starts_wal = false;
    const WalIngest* ingest = nullptr;  // the record says this, and nothing else
    RequestList requests;
    uint64_t end() const;
  };

  // Takes roles as long as there is work for one; with `own`, until its request is answered.
  void drive(Signal* own) TM_EXCLUDES(mutex_);
  bool may_validate() const TM_REQUIRES(mutex_);
  bool may_sync() const TM_REQUIRES(mutex_) { return !syncing_ && !held_back_ && !pending_.empty(); }
  // Someone must see to the work that is left: wakes a waiting caller or posts a task.
  void hand_over() TM_REQUIRES(mutex_);

  // The next group is not written before so many microseconds have passed. No thread is held meanwhile.
  void hold_back(int64_t us) TM_REQUIRES(mutex_);

  void validate_queue() TM_REQUIRES(mutex_);
  // What the next commit is given. Its stamp is not above the last one's if there is none above.
  Head::Value next_commit() const;
  // The same for a request that may bring its own.
  Result<Head::Value> point_of(const CommitRequest& request) const;
  void validate_one(CommitRequest& request, Batch& batch);
  bool needs_switch() const;
  Status switch_memtable(Batch& batch, std::vector<Batch>& sealed);
  void seal(Batch& batch, std::vector<Batch>& sealed);
  // The queue's first request. Whether it published something; nothing: a flush must come first, and the
  // request is still there.
  std::optional<bool> validate_ingest(RequestList& queue, Batch& batch, std::vector<Batch>& sealed);
  Status publish_ingest(const WalIngest& ingest);
  Batch new_batch(std::string memory) const;

  // With `own`: whether the request that waits there was answered.
  bool sync_pending(const Signal* own) TM_REQUIRES(mutex_);
  Status write_group(std::vector<Batch>& group);
  static void answer(RequestList requests);
  bool takes(const CommitRequest& request) const TM_REQUIRES(mutex_);
  // Why a request is not taken.
  Error refusal() const TM_REQUIRES(mutex_);

  const DatabaseOptions options_;
  Clock& clock_;
  Executor& executor_;
  VersionSet& versions_;
  RetentionClock& retention_clock_;
  std::atomic<uint8_t> epoch_;
  const std::function<void()> on_frozen_;
  const LogSink log_;

  mutable Mutex mutex_;
  CondVar changed_;  // roles given back, for freeze() and close()
  RequestList queue_ TM_GUARDED_BY(mutex_);
  std::vector<Batch> pending_ TM_GUARDED_BY(mutex_);
  uint64_t pending_bytes_ TM_GUARDED_BY(mutex_) = 0;
  // Memory of earlier groups, used again.
  std::vector<Batch> spare_group_ TM_GUARDED_BY(mutex_);
  std::string spare_record_ TM_GUARDED_BY(mutex_);
  bool validating_ TM_GUARDED_BY(mutex_) = false;
  bool syncing_ TM_GUARDED_BY(mutex_) = false;
  bool held_back_ TM_GUARDED_BY(mutex_) = false;  // a task will end it
  // Validated segments are not published yet: what comes behind them could not see them.
  bool publishing_ TM_GUARDED_BY(mutex_) = false;
  int tasks_ TM_GUARDED_BY(mutex_) = 0;         // posted to the commit lane and not ended
  bool stalled_ TM_GUARDED_BY(mutex_) = false;  // too many frozen memtables
  bool disk_full_ TM_GUARDED_BY(mutex_) = false;
  bool freeze_wanted_ TM_GUARDED_BY(mutex_) = false;
  bool closing_ TM_GUARDED_BY(mutex_) = false;
  std::optional<Error> refused_ TM_GUARDED_BY(mutex_);

  Mutex hook_mutex_;
  std::function<void()> durable_hook_ TM_GUARDED_BY(hook_mutex_);

  // The validator's.
  Head::Value last_;  // validated, not necessarily durable
  std::shared_ptr<const ReadState> state_;
  std::shared_ptr<WalWriter> wal_;
  uint64_t wal_end_ = 0;  // behind all records made so far

  // The syncer's.
  std::shared_ptr<WalWriter> synced_wal_;

  Head head_;
  Head durable_;                           // of a gated database
  CommitGate gate_ TM_GUARDED_BY(mutex_);  // the same
  CommitCounters counters_;
  std::atomic<uint64_t> wal_bytes_ = 0;
};

}  // namespace tidemark
