#include "engine/database.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/check.h"
#include "engine/compaction/background.h"
#include "engine/compaction/ingest_writer.h"
#include "engine/engine_impl.h"
#include "engine/mvcc/commit_history.h"
#include "engine/mvcc/commit_pipeline.h"
#include "engine/mvcc/point_read.h"
#include "engine/mvcc/scan_cursor.h"
#include "engine/mvcc/snapshot_registry.h"
#include "engine/recovery/fork.h"
#include "engine/recovery/recovery.h"

namespace tidemark {
namespace {

// A chain of more WAL files than this is flushed away when the database is opened.
constexpr size_t kWalFilesMax = 8;

class View final : public ReadView {
 public:
  View(std::shared_ptr<const ReadState> state, Versionstamp at, WadingObserver* observer)
      : state_(std::move(state)), at_(at), observer_(observer) {}

  Versionstamp versionstamp() const override { return at_; }

  Result<std::optional<PinnedValue>> get(std::string_view key, const ReadOptions& options) const override {
    SegmentReadOptions read;
    read.memory_only = options.memory_only;
    TM_ASSIGN(auto found, read_point(*state_, key, at_, read));
    if (!found) return std::nullopt;
    std::shared_ptr<const void> owner;
    if (found->block != nullptr)
      owner = std::move(found->block);
    else
      owner = state_;
    return PinnedValue(found->value, found->stamp, std::move(owner));
  }

  std::unique_ptr<Cursor> scan(const ScanRange& range, const ReadOptions& options) const override {
    return std::make_unique<ScanCursor>(state_, at_, range, options, observer_);
  }

 private:
  const std::shared_ptr<const ReadState> state_;
  const Versionstamp at_;
  WadingObserver* const observer_;
};

class IngestImpl final : public Ingest, private IngestSource {
 public:
  IngestImpl(VersionSet& versions, CommitPipeline& pipeline, Background& background,
             SnapshotRegistry& snapshots, const DatabaseOptions& database, const IngestOptions& options)
      : writer_(versions, database, options.starts_history),
        options_(options),
        pipeline_(pipeline),
        background_(background),
        snapshots_(snapshots) {}

  Status add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value) override {
    return writer_.add(key, stamp, value);
  }
  Status begin_part() override { return writer_.begin_part(); }
  Status seal() override { return writer_.seal(); }
  Status append(std::unique_ptr<Ingest> behind) override {
    return writer_.append(static_cast<IngestImpl&>(*behind).writer_);
  }

  CommitOutcome publish(const CommitPoint& last) override {
    return publish([&](const CommitPoint&, const CommitPoint&) { return std::optional(last); });
  }
  CommitOutcome publish(const Complete& complete) override {
    complete_ = &complete;
    CommitOutcome outcome = pipeline_.ingest(*this);
    // With an unknown outcome the next recovery decides: the files must be there.
    if (outcome.committed || (!outcome.status && outcome.status.error().code == ErrorCode::kUnknownOutcome))
      writer_.release();
    if (!outcome.committed) return outcome;
    background_.schedule_compaction();
    return outcome;
  }

 private:
  Result<const WalIngest*> finish(const Head::Value& before, Versionstamp next,
                                  int64_t timestamp_ms) override {
    if (options_.starts_history && before.stamp != Versionstamp::min())
      return fail(ErrorCode::kInvalidArgument, "the database is not empty, so its history cannot begin here");
    TM_ASSIGN(const std::optional<CommitPoint> last,
              (*complete_)({before.stamp, before.timestamp_ms}, {next, timestamp_ms}));
    if (!last) return nullptr;
    TM_ASSIGN(ingest_, writer_.finish(*last));
    return &ingest_;
  }
  void published() override {
    if (ingest_.horizon) snapshots_.begin_at(*ingest_.horizon);
  }

  IngestWriter writer_;
  const IngestOptions options_;
  const Complete* complete_ = nullptr;
  WalIngest ingest_;
  CommitPipeline& pipeline_;
  Background& background_;
  SnapshotRegistry& snapshots_;
};

class DatabaseImpl final : public Database, private WadingObserver {
 public:
  DatabaseImpl(EngineImpl& engine, const DatabaseOptions& options, Recovered recovered)
      : options_(options),
        id_{recovered.versions->database_id()},
        clock_(engine.clock()),
        files_(std::move(recovered.files)),
        lock_(std::move(recovered.lock)),
        versions_(std::move(recovered.versions)),
        snapshots_(std::make_shared<SnapshotRegistry>(versions_->manifest_state().horizon)),
        retention_clock_(clock_, versions_->manifest_state().retention_clock_ms, engine.log()),
        background_({options, &clock_, &engine.executor(), versions_.get(), snapshots_.get(),
                     &retention_clock_, engine.log()}),
        pipeline_({options, &clock_, &engine.executor(), versions_.get(), &retention_clock_, recovered.epoch,
                   recovered.last, std::move(recovered.wal), [this] { background_.schedule_flush(); },
                   engine.log()}) {
    background_.set_pipeline(&pipeline_);
  }

  ~DatabaseImpl() override { (void)close().has_value(); }

  const DatabaseId& id() const override { return id_; }
  uint8_t epoch() const override { return pipeline_.epoch(); }
  Versionstamp head() const override { return pipeline_.head().stamp; }
  int64_t head_timestamp_ms() const override { return pipeline_.head().timestamp_ms; }
  Versionstamp durable() const override { return pipeline_.durable(); }
  void release(Versionstamp up_to) override { pipeline_.release(up_to); }
  void set_gate_open(bool open) override { pipeline_.set_gate_open(open); }
  bool end_gate() override { return pipeline_.end_gate(); }
  void set_durable_hook(std::function<void()> hook) override { pipeline_.set_durable_hook(std::move(hook)); }
  Versionstamp horizon() const override { return std::min(snapshots_->horizon(), head()); }
  Versionstamp history_begin() const override { return snapshots_->horizon(); }

  void submit(CommitRequest& request) override { pipeline_.submit(request); }
  CommitOutcome commit(CommitRequest& request) override { return pipeline_.commit(request); }

  std::unique_ptr<Ingest> begin_ingest(const IngestOptions& options) override {
    return std::make_unique<IngestImpl>(*versions_, pipeline_, background_, *snapshots_, options_, options);
  }

  Result<CommitPoint> last_commit(Versionstamp stamp, int64_t timestamp_ms) const override {
    return history().floor(stamp, timestamp_ms);
  }
  Status visit_history(Versionstamp from, Versionstamp to, HistoryVisitor& visitor) const override {
    return durable_history().visit(from, to, visitor);
  }
  Status visit_writes(Versionstamp from, Versionstamp to, WriteVisitor& visitor) const override {
    return durable_history().visit_writes(from, to, visitor);
  }
  Status visit_commits(
      Versionstamp from, Versionstamp to,
      const std::function<bool(const CommitPoint& commit, uint32_t writes)>& visit) const override {
    return durable_history().visit_newest_first(from, to, visit);
  }

  std::unique_ptr<ReadView> read() const override {
    while (true) {
      auto state = versions_->acquire();
      const Versionstamp at = pipeline_.head().stamp;
      // If the memtable was switched in between, commits up to `at` may be in the next one.
      if (versions_->is_active(state->active.get()))
        return std::make_unique<View>(std::move(state), at, observer());
    }
  }
  std::unique_ptr<ReadView> read(const Snapshot& snapshot) const override {
    return std::make_unique<View>(versions_->acquire(), snapshot.versionstamp(), observer());
  }
  Result<std::shared_ptr<Snapshot>> pin(Versionstamp at) override {
    return snapshots_->pin(at, at == head() ? at : durable());
  }
  std::shared_ptr<Snapshot> pin_head() override {
    while (true) {
      // Fails only if the horizon has moved beyond the head that was read just now.
      const Versionstamp at = head();
      if (auto pinned = snapshots_->pin(at, at)) return std::move(*pinned);
    }
  }

  Status hold(std::optional<Versionstamp> at) override {
    std::shared_ptr<Snapshot> snapshot;  // the one before, after the lock
    if (at) {
      TM_ASSIGN(snapshot, pin(*at));
    }
    MutexLock lock(hold_mutex_);
    held_.swap(snapshot);
    return {};
  }

  Status fork(const std::string& path, Versionstamp at) override {
    // What lies above the head may never count.
    TM_ASSIGN(const auto pinned, snapshots_->pin(at, head()));
    if (at > versions_->manifest_state().flushed_stamp) TM_TRY(flush());
    TM_ASSIGN(const CommitPoint last, history().floor(at, INT64_MAX));
    // The horizon need not be a commit.
    return fork_files(*versions_, {std::max(last.stamp, std::min(at, horizon())), last.timestamp_ms},
                      retention_clock_.now_ms(), path);
  }

  Status begin_line() override {
    TM_ASSIGN(const uint8_t epoch, next_epoch(head()));
    ManifestEdit edit;
    edit.epoch = epoch;
    TM_TRY(versions_->apply(edit));
    pipeline_.set_epoch(epoch);
    return {};
  }

  void refuse_commits(const std::string& why) override { pipeline_.refuse({ErrorCode::kReadOnly, why}); }

  void set_retention(const Retention& retention) override { background_.set_retention(retention); }
  void set_history_max_bytes(std::optional<uint64_t> max_bytes) override {
    background_.set_history_max_bytes(max_bytes);
  }

  DatabaseCounters counters() const override {
    DatabaseCounters out;
    const CommitCounters& commits = pipeline_.counters();
    out.commits = commits.commits;
    out.commit_groups = commits.groups;
    out.group_commits = commits.group_commits.read();
    out.syncs = commits.syncs;
    out.sync_us = commits.sync_us.read();
    out.write_delay_us = commits.delay_us;
    out.flushes = background_.flushes().jobs;
    out.flush_written_bytes = background_.flushes().written_bytes;
    out.flush_us = background_.flushes().us;
    out.compactions = background_.compactions().jobs;
    out.compaction_read_bytes = background_.compactions().read_bytes;
    out.compaction_written_bytes = background_.compactions().written_bytes;
    out.compaction_us = background_.compactions().us;
    return out;
  }

  DatabaseStats stats() const override {
    DatabaseStats stats;
    static_cast<DatabaseCounters&>(stats) = counters();
    stats.wal_bytes = pipeline_.wal_bytes();
    const auto state = versions_->acquire();
    stats.memtable_bytes = state->active->bytes();
    for (const auto& memtable : state->frozen) stats.memtable_bytes += memtable->bytes();
    const auto add = [](LevelStats& level, const SegmentRef& segment) {
      ++level.segments;
      level.bytes += segment->meta().file_bytes;
      level.entries += segment->meta().entries;
      level.tombstones += segment->meta().tombstones;
    };
    for (size_t level = 0; level < kLevels; ++level) {
      stats.live.emplace_back().level = static_cast<int>(level);
      for (const SegmentRef& segment : state->version->live[level]) add(stats.live.back(), segment);
    }
    for (const HistoryRun& run : state->version->history)
      for (const SegmentRef& segment : run.segments) add(stats.history, segment);
    for (const SharedRun& run : state->version->shared)
      for (const SegmentRef& segment : run.segments) add(stats.shared, segment);
    for (const auto& [number, meta] : versions_->manifest_state().changes)
      stats.change_file_bytes += meta.file_bytes;
    if (const std::optional<int64_t> moment_us = versionstamp_unix_us(horizon()))
      stats.horizon_age_us = std::max<int64_t>(clock_.wall_us() - *moment_us, 0);
    return stats;
  }
  Status write_status() const override { return pipeline_.accepts(); }

  Status flush() override {
    TM_TRY(pipeline_.freeze());
    background_.schedule_flush();
    return background_.wait_idle();
  }
  Status wait_idle() override { return background_.wait_idle(); }
  Status compact() override {
    TM_TRY(flush());
    return background_.compact_fully();
  }

  Status close() override {
    {
      MutexLock lock(close_mutex_);
      if (std::exchange(closed_, true)) return {};
    }
    (void)hold(std::nullopt).has_value();
    Status closed = pipeline_.close();
    background_.stop();
    if (closed) closed = versions_->close();
    // Segments that readers no longer hold are let go before the lock is.
    lock_.reset();
    return closed;
  }

  // For recovery: a log that has grown to many files is flushed away.
  void flush_in_background() {
    struct Freeze final : CommitRequest {
      Result<Decision> run(Transaction&) override { return Decision::kAbort; }
      void done(const CommitOutcome&) override { delete this; }
    };
    pipeline_.want_freeze();
    pipeline_.submit(*new Freeze());
  }
  void start() { background_.schedule_compaction(); }

 private:
  void on_wading() override { background_.schedule_compaction(); }
  // The stamp is read first: what is at or below it is in memtables or change files by then.
  CommitHistory history() const {
    const Versionstamp at = head();
    return CommitHistory(*versions_, at);
  }
  CommitHistory durable_history() const {
    const Versionstamp at = durable();
    return CommitHistory(*versions_, at);
  }
  WadingObserver* observer() const { return const_cast<DatabaseImpl*>(this); }

  const DatabaseOptions options_;
  const DatabaseId id_;
  Clock& clock_;
  const std::unique_ptr<FileSystem> files_;
  std::unique_ptr<FileLock> lock_;
  const std::unique_ptr<VersionSet> versions_;
  const std::shared_ptr<SnapshotRegistry> snapshots_;
  RetentionClock retention_clock_;
  Background background_;
  CommitPipeline pipeline_;
  Mutex hold_mutex_;
  std::shared_ptr<Snapshot> held_ TM_GUARDED_BY(hold_mutex_);
  Mutex close_mutex_;
  bool closed_ TM_GUARDED_BY(close_mutex_) = false;
};

Status check_options(const DatabaseOptions& options) {
  const auto refuse = [](const char* what) { return fail(ErrorCode::kInvalidArgument, what); };
  if (options.memtable_bytes < 4096) return refuse("memtable_bytes must be at least 4096");
  if (options.max_frozen_memtables < 1) return refuse("max_frozen_memtables must be at least 1");
  if (options.block_bytes < 64) return refuse("block_bytes must be at least 64");
  if (options.level0_compaction_trigger < 1) return refuse("level0_compaction_trigger must be at least 1");
  if (options.level_multiplier < 2) return refuse("level_multiplier must be at least 2");
  if (options.history_run_trigger < 2) return refuse("history_run_trigger must be at least 2");
  return {};
}

}  // namespace

DatabaseCounters& DatabaseCounters::operator+=(const DatabaseCounters& other) {
  commits += other.commits;
  commit_groups += other.commit_groups;
  group_commits += other.group_commits;
  syncs += other.syncs;
  sync_us += other.sync_us;
  write_delay_us += other.write_delay_us;
  flushes += other.flushes;
  flush_written_bytes += other.flush_written_bytes;
  flush_us += other.flush_us;
  compactions += other.compactions;
  compaction_read_bytes += other.compaction_read_bytes;
  compaction_written_bytes += other.compaction_written_bytes;
  compaction_us += other.compaction_us;
  return *this;
}

std::string DatabaseId::text() const {
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(static_cast<uint8_t>(bytes[i])));
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out += hex;
  }
  return out;
}

Result<std::unique_ptr<Database>> Database::open(Engine& engine, const std::string& path,
                                                 const DatabaseOptions& options) {
  TM_TRY(check_options(options));
  auto& impl = static_cast<EngineImpl&>(engine);
  TM_ASSIGN(Recovered recovered, recover(impl.file_system(), impl.clock(), path, options.create_if_missing,
                                         impl.open_segments(), impl.log()));
  const bool many_files = recovered.wal_files > kWalFilesMax;
  auto database = std::make_unique<DatabaseImpl>(impl, options, std::move(recovered));
  if (many_files) database->flush_in_background();
  database->start();
  return database;
}

}  // namespace tidemark
