// The public face of the storage engine: one database, in one folder, every version of every key.
//
// All functions may be called from any thread, unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/histogram.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/history.h"
#include "engine/options.h"
#include "engine/snapshot.h"
#include "engine/transaction.h"

namespace tidemark {

// 16 random bytes naming one line of history.
struct DatabaseId {
  std::string bytes;  // 16 bytes
  // "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", lower case.
  std::string text() const;
};

struct LevelStats {
  int level = 0;
  uint64_t segments = 0;
  uint64_t bytes = 0;
  uint64_t entries = 0;
  uint64_t tombstones = 0;
};

// Of one database since it was opened. Times are in microseconds, sizes in bytes.
struct DatabaseCounters {
  uint64_t commits = 0;
  uint64_t commit_groups = 0;
  HistogramCounts group_commits;  // commits of each group
  uint64_t syncs = 0;             // of the log
  HistogramCounts sync_us;        // each of them, failed ones too
  uint64_t write_delay_us = 0;    // summed, by back-pressure
  uint64_t flushes = 0;
  uint64_t flush_written_bytes = 0;  // segments; change files come on top
  uint64_t flush_us = 0;
  uint64_t compactions = 0;  // plans carried out, moves and removals of whole files among them
  uint64_t compaction_read_bytes = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t compaction_us = 0;

  DatabaseCounters& operator+=(const DatabaseCounters& other);
};

// With how things stand now.
struct DatabaseStats : DatabaseCounters {
  uint64_t memtable_bytes = 0;   // active and frozen
  uint64_t wal_bytes = 0;        // written to the newest WAL file
  std::vector<LevelStats> live;  // by level, level 0 first
  LevelStats history;
  LevelStats shared;  // with the database that this is a fork of
  uint64_t change_file_bytes = 0;
  // How long ago the moment was that the horizon names; nothing while it stands at the very beginning,
  // or at a stamp that came from elsewhere.
  std::optional<int64_t> horizon_age_us;
};

// Of what all databases share, since the start. Sizes in bytes.
struct EngineStats {
  uint64_t block_cache_hits = 0;
  uint64_t block_cache_misses = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t index_bytes = 0;  // indexes and filters of open segments, on the block cache's budget
  uint64_t block_cache_capacity_bytes = 0;
  uint64_t open_segments = 0;
};

// What all databases of a process share: caches, background threads, file handles.
class Engine {
 public:
  // Components left null become the real ones.
  static std::unique_ptr<Engine> create(const EngineOptions& options,
                                        const EngineComponents& components = {});
  // REQUIRES: every Database opened with it is gone.
  virtual ~Engine() = default;
  virtual Executor& executor() = 0;
  virtual Clock& clock() = 0;
  virtual FileSystem& file_system() = 0;
  virtual EngineStats stats() const = 0;
};

struct IngestOptions {
  // History begins with what is ingested: the horizon moves to the stamp that becomes the head. For a
  // database that holds nothing.
  bool starts_history = false;
};

// Segments being written for the second entrance: versions whose stamps were given elsewhere (restore,
// replica, import, rewind) become part of a database all at once. One thread, but several ingests may be
// filled at a time. Dropping it unpublished removes what it wrote.
class Ingest {
 public:
  virtual ~Ingest() = default;
  // Keys ascending, of one key the newest first; no value: a tombstone.
  virtual Status add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value) = 0;
  // Begins another part, whose keys ascend from the start. None of its versions may be older than any of the
  // parts before, and each key has one.
  virtual Status begin_part() = 0;
  // Completes what was added so far. Need not be called: append() and publish() do it, and wait for the disk.
  virtual Status seal() = 0;
  // All of another ingest of this database, begun with the same options, whose keys lie behind those here.
  // kInvalidArgument if they do not, or one of the two has more than one part.
  virtual Status append(std::unique_ptr<Ingest> behind) = 0;

  // Publishes. `last` becomes the head (at or above every stamp added). The outcome is as a commit's;
  // kInvalidArgument if a stamp is not above the last commit. Call one of the two once.
  virtual CommitOutcome publish(const CommitPoint& last) = 0;
  // The same, with a last look at the database: `complete` is called when no transaction can come in between
  // any more, with the last commit (it is durable, but need not be released), and with what a commit would be
  // given now. It may add to the ingest, reads `last` where it reads the head, and gives what becomes the
  // head, or nothing: then nothing is published, and the outcome is a success without `committed`. It must
  // not commit anything. Writers wait for it.
  using Complete =
      std::function<Result<std::optional<CommitPoint>>(const CommitPoint& last, const CommitPoint& next)>;
  virtual CommitOutcome publish(const Complete& complete) = 0;
};

class Database {
 public:
  // Opens the database in folder `path`, after recovery if need be; everything served is durable. Creates it
  // if missing and asked for (the parent folder must exist). Errors: kLocked, kNotFound, kNewerFormat,
  // kCorruption (with file and offset), kIo, kInvalidArgument (a folder that is something else).
  static Result<std::unique_ptr<Database>> open(Engine& engine, const std::string& path,
                                                const DatabaseOptions& options);

  // Closes cleanly, as close() does, and drops errors.
  virtual ~Database() = default;

  virtual const DatabaseId& id() const = 0;
  // The first byte of the versionstamps that commits are given from now on.
  virtual uint8_t epoch() const = 0;
  // The newest committed versionstamp; Versionstamp::min() if there never was a commit.
  virtual Versionstamp head() const = 0;
  // The commit timestamp of head, 0 if there never was a commit.
  virtual int64_t head_timestamp_ms() const = 0;
  // The newest commit that is durable here, above head while it waits for release(). See
  // DatabaseOptions::gated.
  virtual Versionstamp durable() const = 0;
  // Commits up to there become head and are answered. Any thread.
  virtual void release(Versionstamp up_to) = 0;
  // From now on, or no longer, all are released at once.
  virtual void set_gate_open(bool open) = 0;
  // Nobody will release anything any more: those that wait are answered with kUnknownOutcome, and no more
  // commits are taken until it is opened again (kShutdown). Does nothing to a database that is not gated.
  // Whether it is.
  virtual bool end_gate() = 0;
  // `hook` is called after commits have become durable that wait for release(), on a thread that commits; it
  // must be short. Null: no longer; when this returns the one before is not being called.
  virtual void set_durable_hook(std::function<void()> hook) = 0;

  // The oldest versionstamp that can still be read.
  virtual Versionstamp horizon() const = 0;
  // Where the history begins that the visit_ functions know: at the horizon, or above head if what begins
  // history (IngestOptions::starts_history) waits to be released.
  virtual Versionstamp history_begin() const = 0;

  // Queues a transaction; request.done() tells the outcome. Never blocks on I/O.
  virtual void submit(CommitRequest& request) = 0;
  // Runs a transaction and waits for its outcome; the calling thread may lead a group of commits.
  // `request.done()` is not called.
  virtual CommitOutcome commit(CommitRequest& request) = 0;

  // Must be gone before the database is.
  virtual std::unique_ptr<Ingest> begin_ingest(const IngestOptions& options = {}) = 0;

  // What happened, from the horizon on. Errors: kCorruption, kIo.

  // The last commit at or below both, or the beginning if there is none. Commits below the horizon are
  // forgotten bit by bit: then an earlier one, or the beginning, is given.
  virtual Result<CommitPoint> last_commit(Versionstamp stamp, int64_t timestamp_ms) const = 0;
  // Commits above `from` up to `to`, the oldest first; no further than durable(). REQUIRES: from >=
  // history_begin(), or some may be missing.
  virtual Status visit_history(Versionstamp from, Versionstamp to, HistoryVisitor& visitor) const = 0;
  // The same, with what they wrote. REQUIRES: `from` is pinned.
  virtual Status visit_writes(Versionstamp from, Versionstamp to, WriteVisitor& visitor) const = 0;
  // The same, the newest first and without their writes, until `visit` gives false.
  virtual Status visit_commits(
      Versionstamp from, Versionstamp to,
      const std::function<bool(const CommitPoint& commit, uint32_t writes)>& visit) const = 0;

  // A view of head.
  virtual std::unique_ptr<ReadView> read() const = 0;
  // A view of the snapshot's moment.
  virtual std::unique_ptr<ReadView> read(const Snapshot& snapshot) const = 0;
  // Pins head, or a moment between history_begin() and durable(): what lies above head has not been released.
  // kBeyondHorizon, naming the range, otherwise.
  virtual Result<std::shared_ptr<Snapshot>> pin(Versionstamp at) = 0;
  // Pins head.
  virtual std::shared_ptr<Snapshot> pin_head() = 0;
  // Keeps everything from `at` on readable, instead of what was held before, until the database is closed;
  // nothing: no longer. For one who follows its history. kBeyondHorizon as pin(): then what was held is.
  virtual Status hold(std::optional<Versionstamp> at) = 0;

  // Makes another database, in the folder `path` (its parent must exist, itself not), that holds what this
  // one held at `at`, which becomes its head, with all history from the horizon on, and an id and an epoch of
  // its own. The two share files and are independent of each other. Takes no longer for a large database than
  // for a small one, but for the flush of what is not in segments yet. kBeyondHorizon; kInvalidArgument if no
  // epoch is left for it. After a crash the folder may be there without being a database.
  virtual Status fork(const std::string& path, Versionstamp at) = 0;

  // From now on this is another line of history than that of the database whose versionstamps it was given
  // (CommitRequest::given): an epoch of its own begins. kInvalidArgument if none is left. REQUIRES: no commit
  // is under way.
  virtual Status begin_line() = 0;
  // Takes no more commits until it is reopened: kReadOnly, with this sentence. Those that were taken are
  // finished; what waits for release() ends with kUnknownOutcome.
  virtual void refuse_commits(const std::string& why) = 0;

  virtual void set_retention(const Retention& retention) = 0;
  // The ceiling on history segments, in bytes; nothing: none. When it is exceeded the horizon moves, and what
  // lies below it is dropped in the background.
  virtual void set_history_max_bytes(std::optional<uint64_t> max_bytes) = 0;
  // Quick; also after close().
  virtual DatabaseCounters counters() const = 0;
  // May wait for the manifest to be written.
  virtual DatabaseStats stats() const = 0;
  // Whether a commit would be taken now; otherwise what it would be refused with: kReadOnly after a failure,
  // kNoSpace while a flush waits for room, kShutdown. Takes a short lock and does no I/O.
  virtual Status write_status() const = 0;

  // Writes the memtable, if not empty, to segments and waits for it.
  virtual Status flush() = 0;
  // Waits until no flush or compaction is under way or due.
  virtual Status wait_idle() = 0;
  // Merges everything down: one sorted run of live segments, history without what the horizon has passed.
  virtual Status compact() = 0;

  // Refuses new commits (kShutdown), answers those it took, writes the log's final promise, releases the
  // lock. Reads must have ended. Calling it twice does nothing.
  virtual Status close() = 0;
};

// A blocking transaction from a callable: Result<CommitRequest::Decision>(Transaction&).
template <class F>
CommitOutcome commit(Database& database, F&& function) {
  struct Request final : CommitRequest {
    explicit Request(F& f) : f(f) {}
    Result<Decision> run(Transaction& t) override { return f(t); }
    void done(const CommitOutcome&) override {}
    F& f;
  } request(function);
  return database.commit(request);
}

}  // namespace tidemark
