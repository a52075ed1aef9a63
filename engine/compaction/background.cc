#include "engine/compaction/background.h"

#include <algorithm>
#include <vector>

#include "engine/format/file_names.h"

namespace tidemark {
namespace {

constexpr int64_t kFullDiskRetryUs = 200'000;

// What a merge reads.
uint64_t input_bytes(const CompactionPlan& plan) {
  uint64_t sum = 0;
  const auto add = [&sum](const std::vector<SegmentRef>& segments) {
    for (const SegmentRef& segment : segments) sum += segment->meta().file_bytes;
  };
  if (plan.kind == CompactionPlan::Kind::kOwnShared) {
    add(plan.upper);
  } else if (plan.kind == CompactionPlan::Kind::kMergeLive) {
    add(plan.upper);
    add(plan.lower);
  } else if (plan.kind == CompactionPlan::Kind::kMergeHistory) {
    for (const HistoryRun& run : plan.runs) add(run.segments);
  }
  return sum;
}

}  // namespace

Background::Background(Setup setup)
    : options_(setup.options),
      clock_(*setup.clock),
      executor_(*setup.executor),
      versions_(*setup.versions),
      snapshots_(*setup.snapshots),
      log_(std::move(setup.log)),
      retention_clock_(*setup.retention_clock),
      retention_(options_.retention),
      history_max_bytes_(options_.history_max_bytes) {}

Retention Background::retention() const {
  MutexLock lock(mutex_);
  return retention_;
}

std::optional<uint64_t> Background::history_max_bytes() const {
  MutexLock lock(mutex_);
  return history_max_bytes_;
}

void Background::schedule_flush() {
  MutexLock lock(mutex_);
  if (flushing_ || stopping_ || failure_) return;
  flushing_ = true;
  executor_.post(Lane::kFlush, [this] { run_flushes(); });
}

void Background::schedule_compaction() {
  MutexLock lock(mutex_);
  if (stopping_ || failure_) return;
  for (const Side side : {Side::kLive, Side::kHistory}) {
    merging(side).due = true;
    if (std::exchange(merging(side).running, true)) continue;
    executor_.post(Lane::kCompaction, [this, side] { run_compaction(side); });
  }
}

void Background::failed(Error error) {
  if (log_) log_(LogLevel::kError, "background work stopped: " + error.message);
  pipeline_->refuse(
      {ErrorCode::kReadOnly, "the database takes no writes since an earlier failure: " + error.message});
  MutexLock lock(mutex_);
  if (!failure_) failure_ = std::move(error);
}

// The horizon as the retention, the ceiling and the pins allow, no higher than what is in segments
// (`flushed`): a version may be dropped only for one that cannot be lost.
Versionstamp Background::move_horizon(const ManifestState& state, Versionstamp flushed,
                                      int64_t flushed_timestamp_ms) {
  ManifestState as_flushed = state;
  as_flushed.flushed_stamp = flushed;
  as_flushed.flushed_timestamp_ms = flushed_timestamp_ms;
  auto target = retention_target(versions_, as_flushed, retention(), retention_clock_.now_ms());
  Versionstamp to;
  if (target) {
    to = *target;
  } else if (log_) {
    // Damage in a change file keeps history; it must not stop writes.
    log_(LogLevel::kError, "the horizon stays where it is: " + target.error().message);
  }
  if (const auto max_bytes = history_max_bytes()) {
    const auto ceiling = ceiling_target(*versions_.acquire()->version, *max_bytes);
    if (ceiling && *ceiling > to) {
      to = *ceiling;
      if (log_ && !std::exchange(ceiling_warned_, true))
        log_(LogLevel::kWarning, "history exceeds its ceiling of " + std::to_string(*max_bytes) +
                                     " bytes; the oldest is dropped, before its retention is over");
    }
  }
  // Of a gated database segments may hold what is not head yet.
  return snapshots_.advance(std::min({to, flushed, pipeline_->head().stamp}));
}

// A memtable is frozen as soon as its last commit is validated; it may be flushed when that is durable.
bool Background::flush_due() const {
  const auto state = versions_.acquire();
  return !state->frozen.empty() && state->frozen.back()->last_stamp() <= pipeline_->durable();
}

Status Background::flush_oldest() {
  const auto state = versions_.acquire();
  const Memtable& memtable = *state->frozen.back();
  const Memtable& next = state->frozen.size() > 1 ? *state->frozen[state->frozen.size() - 2] : *state->active;
  const ManifestState manifest = versions_.manifest_state();
  const Versionstamp horizon = move_horizon(manifest, memtable.last_stamp(), memtable.last_timestamp_ms());
  const JobContext context{
      versions_, options_, horizon, retention_clock_.now_ms(), stopping_, flushes_.written_bytes};
  const int64_t begun_us = clock_.monotonic_us();
  // The next memtable's WAL file may not have been started yet.
  TM_TRY(flush_memtable(context, memtable, std::min(next.first_wal(), manifest.newest_wal)));
  ++flushes_.jobs;
  flushes_.us += static_cast<uint64_t>(clock_.monotonic_us() - begun_us);
  remove_old_wals();
  return {};
}

void Background::remove_old_wals() {
  const auto names = versions_.fs().list_dir(versions_.dir());
  if (!names) return;
  const uint64_t oldest = versions_.manifest_state().oldest_wal;
  for (const std::string& name : *names) {
    const auto parsed = parse_file_name(name);
    if (parsed && parsed->type == FileType::kWal && parsed->number < oldest)
      (void)versions_.fs().remove(versions_.dir() + "/" + name).has_value();
  }
}

void Background::run_flushes() {
  while (true) {
    if (stopping_ || !flush_due()) {
      MutexLock lock(mutex_);
      // Looked at again under the lock: schedule_flush() may have come in between and found us flushing.
      if (!stopping_ && flush_due()) continue;
      flushing_ = false;
      idle_.notify_all();
      return;
    }
    Status flushed = flush_oldest();
    if (flushed) {
      bool was_held_back;
      {
        MutexLock lock(mutex_);
        was_held_back = std::exchange(held_back_, false);
      }
      if (was_held_back) {
        pipeline_->set_disk_full(false);
        if (log_) log_(LogLevel::kInfo, versions_.dir() + " has room again and takes writes");
      }
      pipeline_->kick();
      schedule_compaction();
      continue;
    }
    if (flushed.error().code == ErrorCode::kNoSpace) {
      bool first;
      {
        MutexLock lock(mutex_);
        first = !std::exchange(held_back_, true);
      }
      if (first) {
        if (log_)
          log_(LogLevel::kError,
               "the disk is full; writes are refused until there is room: " + flushed.error().message);
        pipeline_->set_disk_full(true);
      }
      executor_.post_after(Lane::kFlush, kFullDiskRetryUs, [this] { run_flushes(); });
      return;
    }
    failed(std::move(flushed).error());
    MutexLock lock(mutex_);
    flushing_ = false;
    idle_.notify_all();
    return;
  }
}

Status Background::compact_once(Side side, bool& more) {
  const ManifestState manifest = versions_.manifest_state();
  const Versionstamp horizon = move_horizon(manifest, manifest.flushed_stamp, manifest.flushed_timestamp_ms);
  const auto state = versions_.acquire();
  bool full;
  {
    MutexLock lock(mutex_);
    full = merging(side).full_wanted;
  }
  CompactionPlan plan;
  if (side == Side::kLive) {
    plan = pick_live(*state->version, options_, cursors_);
    if (plan.kind == CompactionPlan::Kind::kNone && full) plan = pick_live_fully(*state->version);
    if (plan.kind != CompactionPlan::Kind::kNone)
      cursors_[plan.level] = plan.upper.back()->meta().smallest_key;
  } else {
    plan = pick_history(*state->version, options_, horizon);
    if (plan.kind == CompactionPlan::Kind::kNone) plan = pick_shared(*state->version, horizon, full);
    if (plan.kind == CompactionPlan::Kind::kNone && full) plan = pick_history_fully(*state->version);
    if (plan.kind == CompactionPlan::Kind::kNone && changes_below(manifest, horizon))
      plan.kind = CompactionPlan::Kind::kTrimChanges;
  }
  more = plan.kind != CompactionPlan::Kind::kNone;
  if (!more) {
    MutexLock lock(mutex_);
    merging(side).full_wanted = false;
    return {};
  }
  const JobContext context{
      versions_, options_, horizon, retention_clock_.now_ms(), stopping_, compactions_.written_bytes};
  const int64_t begun_us = clock_.monotonic_us();
  TM_TRY(run_plan(context, plan));
  ++compactions_.jobs;
  compactions_.read_bytes += input_bytes(plan);
  compactions_.us += static_cast<uint64_t>(clock_.monotonic_us() - begun_us);
  return {};
}

void Background::run_compaction(Side side) {
  {
    MutexLock lock(mutex_);
    merging(side).due = false;
  }
  bool more = false;
  int64_t pause_us = 0;
  Status done = stopping_ ? Status() : compact_once(side, more);
  if (!done && done.error().code == ErrorCode::kNoSpace) {
    if (log_) log_(LogLevel::kWarning, "a merge waits for room on the disk: " + done.error().message);
    pause_us = kFullDiskRetryUs;
    done = {};
    more = true;
  }
  if (!done && done.error().code != ErrorCode::kShutdown) failed(std::move(done).error());
  if (done && more) pipeline_->kick();
  // A merge of live segments leaves history behind.
  if (done && more && side == Side::kLive) schedule_compaction();
  MutexLock lock(mutex_);
  if (!stopping_ && !failure_ && (more || merging(side).due)) {
    executor_.post_after(Lane::kCompaction, pause_us, [this, side] { run_compaction(side); });
    return;
  }
  merging(side).running = false;
  idle_.notify_all();
}

Status Background::wait_idle() {
  MutexLock lock(mutex_);
  while (busy()) idle_.wait(mutex_);
  if (failure_) return std::unexpected<Error>(*failure_);
  return {};
}

Status Background::compact_fully() {
  // What is shared becomes the deepest level. Then live: its merges add to history.
  std::vector<Side> sides = {Side::kLive, Side::kHistory};
  if (!versions_.acquire()->version->shared.empty()) sides.insert(sides.begin(), Side::kHistory);
  for (const Side side : sides) {
    {
      MutexLock lock(mutex_);
      merging(side).full_wanted = true;
    }
    schedule_compaction();
    TM_TRY(wait_idle());
  }
  return {};
}

void Background::set_retention(const Retention& retention) {
  {
    MutexLock lock(mutex_);
    retention_ = retention;
  }
  schedule_compaction();
}

void Background::set_history_max_bytes(std::optional<uint64_t> max_bytes) {
  {
    MutexLock lock(mutex_);
    if (history_max_bytes_ == max_bytes) return;
    history_max_bytes_ = max_bytes;
  }
  schedule_compaction();
}

void Background::stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  while (busy()) idle_.wait(mutex_);
}

}  // namespace tidemark
