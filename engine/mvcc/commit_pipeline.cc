#include "engine/mvcc/commit_pipeline.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "engine/format/log_record.h"
#include "engine/mvcc/staged_transaction.h"
#include "engine/mvcc/write_throttle.h"

namespace tidemark {
namespace {

enum Wake : uint32_t { kAnswered = 1, kLead = 2 };

// A record is closed at this size, and no more are begun while so much waits for the syncer.
constexpr uint64_t kBatchBytes = uint64_t{1} << 20;
constexpr uint64_t kPendingBytesMax = uint64_t{16} << 20;
// A memtable in which scans passed over hidden entries this many times over is flushed early: then queues and
// mass deletions leave it.
constexpr uint64_t kWadingFactor = 4;
constexpr uint64_t kWadingEntriesMin = 4096;

Error shut_down() {
  return {ErrorCode::kShutdown, "the database is being closed"};
}

}  // namespace

uint64_t CommitPipeline::Batch::end() const {
  return base + record_bytes(record.size() - kRecordHeaderBytes);
}

CommitPipeline::CommitPipeline(Setup setup)
    : options_(setup.options),
      clock_(*setup.clock),
      executor_(*setup.executor),
      versions_(*setup.versions),
      retention_clock_(*setup.retention_clock),
      epoch_(setup.epoch),
      on_frozen_(std::move(setup.on_frozen)),
      log_(std::move(setup.log)),
      last_(setup.last),
      wal_(std::move(setup.wal)),
      wal_end_(wal_->end()),
      synced_wal_(wal_),
      gate_(head_) {
  head_.set(setup.last);
  durable_.set(setup.last);
  wal_bytes_ = wal_end_;
}

void CommitPipeline::submit(CommitRequest& request) {
  request.waiter_ = nullptr;
  request.outcome_ = {};
  {
    MutexLock lock(mutex_);
    if (takes(request)) {
      queue_.push(request);
      // A task in the lane that has not got there yet will find it.
      if (may_validate() && tasks_ < (syncing_ ? 2 : 1)) hand_over();
      return;
    }
    request.outcome_.status = std::unexpected<Error>(refusal());
  }
  request.done(request.outcome_);
}

CommitOutcome CommitPipeline::commit(CommitRequest& request) {
  Signal signal;
  request.waiter_ = &signal;
  request.outcome_ = {};
  {
    MutexLock lock(mutex_);
    if (!takes(request)) {
      request.outcome_.status = std::unexpected<Error>(refusal());
      return request.outcome_;
    }
    queue_.push(request);
  }
  drive(&signal);
  return std::move(request.outcome_);
}

bool CommitPipeline::takes(const CommitRequest& request) const {
  if (closing_ || refused_) return false;
  return request.passes_gate_ || (!gate_.ended() && gate_.bytes() <= options_.gated_bytes_max);
}

Error CommitPipeline::refusal() const {
  if (refused_) return *refused_;
  if (closing_ || gate_.ended()) return shut_down();
  return {ErrorCode::kUnavailable, "commits wait to be made safe elsewhere, and no more fit beside them"};
}

bool CommitPipeline::may_validate() const {
  return !validating_ && !queue_.empty() && !stalled_ && !publishing_ && pending_bytes_ < kPendingBytesMax;
}

void CommitPipeline::hand_over() {
  if (!may_validate() && !may_sync()) return;
  CommitRequest* const candidates[] = {may_sync() ? pending_.front().requests.first() : nullptr,
                                       queue_.first()};
  for (CommitRequest* request : candidates) {
    if (request == nullptr || request->waiter_ == nullptr) continue;
    request->waiter_->tell(kLead);
    return;
  }
  ++tasks_;
  executor_.post(Lane::kCommit, [this] {
    drive(nullptr);
    MutexLock lock(mutex_);
    --tasks_;
    if (tasks_ == 0) hand_over();
    changed_.notify_all();
  });
}

void CommitPipeline::drive(Signal* own) {
  mutex_.lock();
  while (true) {
    if (own != nullptr && own->told(kAnswered)) {
      hand_over();
      break;
    }
    if (may_validate()) {
      validate_queue();
    } else if (may_sync()) {
      if (sync_pending(own)) break;
    } else if (own == nullptr) {
      break;
    } else {
      mutex_.unlock();
      const uint32_t why = own->wait();
      if (why == kAnswered) return;
      mutex_.lock();
    }
  }
  mutex_.unlock();
}

CommitPipeline::Batch CommitPipeline::new_batch(std::string memory) const {
  Batch batch;
  batch.record = std::move(memory);
  batch.record.assign(kRecordHeaderBytes, '\0');
  begin_group(batch.record);
  batch.wal = wal_;
  batch.base = wal_end_;
  batch.last = last_;
  return batch;
}

bool CommitPipeline::needs_switch() const {
  const Memtable& active = *state_->active;
  if (active.empty()) return false;
  return active.bytes() >= options_.memtable_bytes ||
         (active.skipped() > kWadingFactor * active.entries() && active.entries() >= kWadingEntriesMin);
}

void CommitPipeline::seal(Batch& batch, std::vector<Batch>& sealed) {
  wal_end_ = batch.commits > 0 ? batch.end() : batch.base;
  if (!batch.requests.empty() || batch.starts_wal) sealed.push_back(std::move(batch));
}

Status CommitPipeline::switch_memtable(Batch& batch, std::vector<Batch>& sealed) {
  auto wal = WalWriter::create(versions_.fs(), versions_.dir(), versions_.database_id(),
                               versions_.new_file_number());
  if (!wal) return std::unexpected<Error>(std::move(wal).error());
  seal(batch, sealed);
  wal_ = std::move(*wal);
  wal_end_ = kLogHeaderBytes;
  auto memtable = std::make_shared<Memtable>();
  memtable->set_first_wal(wal_->number());
  versions_.switch_memtable(std::move(memtable));
  state_ = versions_.acquire();
  batch = new_batch({});
  batch.starts_wal = true;
  return {};
}

Head::Value CommitPipeline::next_commit() const {
  const int64_t wall_us = clock_.wall_us();
  const Versionstamp stamp =
      last_.stamp.number == UINT64_MAX
          ? Versionstamp::max()
          : Versionstamp{next_versionstamp_number(last_.stamp.number, epoch(), wall_us), 0};
  return {stamp, std::max({last_.timestamp_ms, wall_us / 1000, retention_clock_.now_ms()})};
}

Result<Head::Value> CommitPipeline::point_of(const CommitRequest& request) const {
  const std::optional<GivenCommit> given = request.given();
  if (!given) return next_commit();
  const CommitPoint& point = given->point;
  if (given->after != last_.stamp || point.stamp <= last_.stamp || point.timestamp_ms < last_.timestamp_ms)
    return fail(ErrorCode::kInvalidArgument, "the commit " + point.stamp.hex() +
                                                 " that was given does not follow the last one, " +
                                                 last_.stamp.hex());
  return Head::Value{point.stamp, point.timestamp_ms};
}

void CommitPipeline::validate_one(CommitRequest& request, Batch& batch) {
  // Only a stamp that came from elsewhere, or from damage, is so high that there is none above it. Then a
  // transaction may read and abort, but not commit.
  const bool used_up = last_.stamp.number == UINT64_MAX;
  CommitOutcome& outcome = request.outcome_;
  const Result<Head::Value> point = point_of(request);
  if (!point) {
    outcome.status = std::unexpected<Error>(point.error());
    return;
  }
  const auto [stamp, timestamp_ms] = *point;
  StagedTransaction transaction(batch.record, *state_, stamp, timestamp_ms);
  auto decision = request.run(transaction);
  if (!decision || *decision == CommitRequest::Decision::kAbort) {
    transaction.abandon();
    if (!decision) outcome.status = std::unexpected<Error>(std::move(decision).error());
    return;
  }
  transaction.seal();
  Status fits =
      used_up
          ? fail(ErrorCode::kReadOnly, "no versionstamp is left above " + last_.stamp.hex() + ", the head")
      : transaction.bytes() <= options_.max_transaction_bytes
          ? batch.wal->reserve(batch.end())
          : fail(ErrorCode::kInvalidArgument, "the transaction is larger than " +
                                                  std::to_string(options_.max_transaction_bytes) + " bytes");
  if (!fits) {
    transaction.abandon();
    outcome.status = std::move(fits);
    return;
  }
  transaction.apply_to(*state_->active);
  last_ = batch.last = {stamp, timestamp_ms};
  ++batch.commits;
  outcome.committed = true;
  outcome.versionstamp = stamp;
  outcome.timestamp_ms = timestamp_ms;
}

std::optional<bool> CommitPipeline::validate_ingest(RequestList& queue, Batch& batch,
                                                    std::vector<Batch>& sealed) {
  CommitRequest& request = *queue.first();
  CommitOutcome& outcome = request.outcome_;
  const auto refuse = [&](Error error) {
    outcome.status = std::unexpected<Error>(std::move(error));
    batch.requests.push(queue.pop());
    return false;
  };
  if (!state_->active->empty()) {
    if (Status switched = switch_memtable(batch, sealed); !switched) return refuse(switched.error());
    return std::nullopt;
  }
  if (versions_.frozen_count() > 0) return std::nullopt;
  const Head::Value next = next_commit();
  auto finished = request.ingest_->finish(last_, next.stamp, next.timestamp_ms);
  if (!finished) return refuse(std::move(finished).error());
  if (*finished == nullptr) {
    batch.requests.push(queue.pop());
    return false;
  }
  const WalIngest& ingest = **finished;
  Versionstamp lowest = ingest.last_stamp;
  for (const SegmentMeta& meta : ingest.segments) lowest = std::min(lowest, meta.min_stamp);
  if (lowest <= last_.stamp || ingest.timestamp_ms < last_.timestamp_ms)
    return refuse({ErrorCode::kInvalidArgument,
                   "the segments are not newer than the last commit, " + last_.stamp.hex()});
  const std::string payload = encode_ingest(ingest);
  seal(batch, sealed);
  batch = new_batch({});
  batch.record.resize(kRecordHeaderBytes);
  batch.record += payload;
  if (Status room = wal_->reserve(batch.end()); !room) {
    outcome.status = std::move(room);
  } else {
    last_ = batch.last = {ingest.last_stamp, ingest.timestamp_ms};
    batch.commits = 1;
    batch.ingest = &ingest;
    outcome.committed = true;
    outcome.versionstamp = ingest.last_stamp;
    outcome.timestamp_ms = ingest.timestamp_ms;
  }
  batch.requests.push(queue.pop());
  seal(batch, sealed);
  batch = new_batch({});
  return outcome.committed;
}

// The record is durable: the same edit that recovery would make of it.
Status CommitPipeline::publish_ingest(const WalIngest& ingest) {
  TM_TRY(synced_wal_->sync());
  return versions_.apply(ingest_edit(ingest));
}

CommitOutcome CommitPipeline::ingest(IngestSource& source) {
  struct Publish final : CommitRequest {
    Result<Decision> run(Transaction&) override { return Decision::kAbort; }
    void done(const CommitOutcome&) override {}
  } request;
  request.ingest_ = &source;
  return commit(request);
}

// Takes what waits, as far as one batch goes.
void CommitPipeline::validate_queue() {
  validating_ = true;
  RequestList queue = queue_.take();
  // The newest record that the syncer has not taken is continued.
  Batch batch;
  const bool continued =
      !pending_.empty() && pending_.back().record.size() < kBatchBytes && pending_.back().ingest == nullptr;
  if (continued) {
    batch = std::move(pending_.back());
    pending_.pop_back();
    pending_bytes_ -= batch.record.size();
  }
  std::string memory = continued ? std::string() : std::move(spare_record_);
  const bool freeze = std::exchange(freeze_wanted_, false);
  const bool disk_full = disk_full_;
  mutex_.unlock();

  state_ = versions_.acquire();
  if (!continued) batch = new_batch(std::move(memory));
  std::vector<Batch> sealed;
  bool stalled = false;
  bool flush_first = false;
  bool publishing = false;
  bool freeze_done = false;
  while (!queue.empty() && batch.record.size() < kBatchBytes) {
    if (queue.first()->ingest_ != nullptr) {
      const std::optional<bool> published = validate_ingest(queue, batch, sealed);
      flush_first = !published;
      publishing = published.value_or(false);
      if (flush_first || publishing) break;
      continue;
    }
    Status ready;
    if (needs_switch() || (freeze && !freeze_done && !state_->active->empty())) {
      const bool room = versions_.frozen_count() < static_cast<size_t>(options_.max_frozen_memtables);
      if (room || freeze) {
        ready = switch_memtable(batch, sealed);
        freeze_done = true;
      } else if (state_->active->bytes() >= options_.memtable_bytes) {
        if (!disk_full) {
          stalled = true;
          break;
        }
        ready = fail(ErrorCode::kNoSpace,
                     "the disk is full: " + versions_.dir() + " takes no writes until there is room");
      }
    }
    CommitRequest& request = queue.pop();
    if (ready)
      validate_one(request, batch);
    else
      request.outcome_.status = std::move(ready);
    if (TM_MUTANT("engine.answer-check-early") && !request.outcome_.committed) {
      RequestList early;
      early.push(request);
      answer(early);
      continue;
    }
    batch.requests.push(request);
  }
  seal(batch, sealed);
  state_.reset();

  mutex_.lock();
  for (Batch& b : sealed) {
    pending_bytes_ += b.record.size();
    pending_.push_back(std::move(b));
  }
  RequestList refused;
  if (refused_) {  // refuse() came in between and did not see these
    queue.fail_all(*refused_);
    refused = queue.take();
  }
  // Back to the front of the queue.
  queue.append(queue_);
  queue_ = queue;
  // Looked at again under the lock: a flush that ended meanwhile will not come to end the stall.
  publishing_ = publishing;
  stalled_ = (stalled && !disk_full_ &&
              versions_.frozen_count() >= static_cast<size_t>(options_.max_frozen_memtables)) ||
             (flush_first && versions_.frozen_count() > 0);
  validating_ = false;
  changed_.notify_all();
  if (refused.empty()) return;
  mutex_.unlock();
  answer(refused);
  mutex_.lock();
}

Status CommitPipeline::write_group(std::vector<Batch>& group) {
  bool unsynced = TM_MUTANT("engine.acknowledge-early");
  const auto sync = [&]() -> Status {
    if (!std::exchange(unsynced, false)) return {};
    ++counters_.syncs;
    const int64_t begun_us = clock_.monotonic_us();
    Status synced = synced_wal_->sync();
    counters_.sync_us.add(static_cast<uint64_t>(clock_.monotonic_us() - begun_us));
    return synced;
  };
  if (TM_MUTANT("engine.acknowledge-early")) TM_TRY(sync());
  for (Batch& batch : group) {
    if (batch.starts_wal) {
      // The new file's header vouches for the old one: everything in that must be durable before.
      unsynced = true;
      TM_TRY(sync());
      TM_TRY(batch.wal->start(synced_wal_->number(), synced_wal_->end()));
      ManifestEdit edit;
      edit.newest_wal = batch.wal->number();
      TM_TRY(versions_.apply(edit));
      synced_wal_->trim();
      synced_wal_ = batch.wal;
    }
    if (batch.commits == 0) continue;
    TM_CHECK(batch.base == synced_wal_->end());
    TM_TRY(synced_wal_->append(batch.record));
    unsynced = true;
    if (batch.ingest != nullptr) {
      TM_TRY(publish_ingest(*batch.ingest));
      // The one whose record this is.
      batch.requests.first()->ingest_->published();
      unsynced = false;
    }
  }
  if (options_.durability == Durability::kSynced && !TM_MUTANT("engine.acknowledge-early")) TM_TRY(sync());
  return {};
}

bool CommitPipeline::sync_pending(const Signal* own) {
  syncing_ = true;
  std::vector<Batch> group = std::move(pending_);
  pending_ = std::move(spare_group_);
  pending_bytes_ = 0;
  mutex_.unlock();

  uint64_t bytes = 0, commits = 0;
  bool switched = false;
  for (const Batch& batch : group) {
    bytes += batch.record.size();
    commits += batch.commits;
    switched |= batch.starts_wal;
  }
  Status written = write_group(group);
  if (written && commits > 0) {
    (options_.gated ? durable_ : head_).set(group.back().last);
    counters_.commits += commits;
    ++counters_.groups;
    counters_.group_commits.add(commits);
    wal_bytes_.store(synced_wal_->end(), std::memory_order_relaxed);
  }
  if (written && switched) on_frozen_();
  // Back-pressure: if merging does not keep up, the next group waits for what this one wrote.
  const int64_t delay_us = write_delay_us(bytes, versions_.acquire()->version->live[0].size(),
                                          options_.level0_slowdown_trigger, options_.level0_stop_trigger);

  RequestList requests;
  const auto collect = [&](std::vector<Batch>& batches) {
    for (Batch& batch : batches) requests.append(batch.requests);
  };
  collect(group);
  mutex_.lock();
  if (!written) {
    const Error& cause = written.error();
    if (log_)
      log_(LogLevel::kError,
           "commits stop, the database is read-only until it is reopened: " + cause.message);
    refused_ = Error{ErrorCode::kReadOnly,
                     "the database takes no writes since an earlier failure: " + cause.message};
    // What was validated behind the failed group saw it: it fails with it. What was not is refused.
    while (validating_) changed_.wait(mutex_);
    collect(pending_);
    pending_.clear();
    pending_bytes_ = 0;
    requests.fail_all(
        {ErrorCode::kUnknownOutcome, "it is not known whether the commit is durable: " + cause.message});
    queue_.fail_all(*refused_);
    requests.append(queue_);
  }
  if (spare_record_.capacity() < group.front().record.capacity() &&
      group.front().record.capacity() <= 2 * kBatchBytes)
    spare_record_ = std::move(group.front().record);
  // The validator waits for segments that it has handed on: they are in this group or in none.
  if (std::ranges::any_of(group, [](const Batch& batch) { return batch.ingest != nullptr; }))
    publishing_ = false;
  group.clear();
  spare_group_ = std::move(group);
  syncing_ = false;
  if (delay_us > 0 && !closing_) hold_back(delay_us);
  bool leaves = false;
  const bool tells = written && options_.gated && !gate_.open();
  if (written && options_.gated) {
    requests = gate_.pass(requests, bytes);
  } else if (!written) {
    RequestList all = gate_.end(written.error().message);
    all.append(requests);
    requests = all;
  }
  for (const CommitRequest* r = requests.first(); own != nullptr && r != nullptr && !leaves; r = r->next_)
    leaves = r->waiter_ == own;
  // Whoever leads the next group should start before this one's answers go out.
  if (leaves) hand_over();
  changed_.notify_all();
  mutex_.unlock();
  answer(requests);
  if (tells) {
    MutexLock lock(hook_mutex_);
    if (durable_hook_) durable_hook_();
  }
  mutex_.lock();
  return leaves;
}

void CommitPipeline::release(Versionstamp up_to) {
  mutex_.lock();
  const RequestList released = gate_.release(up_to);
  mutex_.unlock();
  answer(released);
}

void CommitPipeline::set_gate_open(bool open) {
  mutex_.lock();
  const RequestList released = gate_.set_open(open);
  mutex_.unlock();
  answer(released);
}

bool CommitPipeline::end_gate() {
  if (!options_.gated) return false;
  RequestList ended;
  {
    MutexLock lock(mutex_);
    ended = gate_.end("the database is being closed");
    RequestList refused = queue_.take_gated();
    refused.fail_all(shut_down());
    ended.append(refused);
    // One of them may have been told to see to what is pending.
    hand_over();
  }
  answer(ended);
  return true;
}

void CommitPipeline::set_durable_hook(std::function<void()> hook) {
  MutexLock lock(hook_mutex_);
  durable_hook_ = std::move(hook);
}

void CommitPipeline::hold_back(int64_t us) {
  counters_.delay_us += static_cast<uint64_t>(us);
  held_back_ = true;
  ++tasks_;
  executor_.post_after(Lane::kCommit, us, [this] {
    MutexLock lock(mutex_);
    held_back_ = false;
    --tasks_;
    hand_over();
    changed_.notify_all();
  });
}

void CommitPipeline::answer(RequestList requests) {
  while (!requests.empty()) {
    CommitRequest& request = requests.pop();
    if (request.waiter_ != nullptr)
      request.waiter_->tell(kAnswered);
    else
      request.done(request.outcome_);
  }
}

void CommitPipeline::want_freeze() {
  MutexLock lock(mutex_);
  freeze_wanted_ = true;
}

Status CommitPipeline::freeze() {
  struct Nothing final : CommitRequest {
    Result<Decision> run(Transaction&) override { return Decision::kAbort; }
    void done(const CommitOutcome&) override {}
  } nothing;
  nothing.passes_gate_ = true;
  want_freeze();
  return commit(nothing).status;
}

void CommitPipeline::kick() {
  MutexLock lock(mutex_);
  stalled_ = false;
  hand_over();
}

void CommitPipeline::refuse(Error error) {
  RequestList ended;
  {
    MutexLock lock(mutex_);
    if (refused_) return;
    refused_ = std::move(error);
    ended = gate_.end(refused_->message);
    queue_.fail_all(*refused_);
    ended.append(queue_);
    // One of them may have been told to see to what is pending.
    hand_over();
  }
  answer(ended);
}

void CommitPipeline::set_disk_full(bool full) {
  MutexLock lock(mutex_);
  disk_full_ = full;
  stalled_ = false;
  hand_over();
}

Status CommitPipeline::accepts() const {
  MutexLock lock(mutex_);
  if (refused_) return std::unexpected<Error>(*refused_);
  if (closing_ || gate_.ended()) return std::unexpected<Error>(shut_down());
  if (disk_full_) return fail(ErrorCode::kNoSpace, "the disk is full");
  return {};
}

Status CommitPipeline::close() {
  MutexLock lock(mutex_);
  if (std::exchange(closing_, true)) return {};
  while (validating_ || syncing_ || tasks_ > 0 || !queue_.empty() || !pending_.empty()) {
    if (tasks_ == 0) hand_over();
    changed_.wait(mutex_);
  }
  const RequestList kept = gate_.end("the database is being closed");
  mutex_.unlock();
  answer(kept);
  mutex_.lock();
  if (refused_) return {};
  TM_TRY(synced_wal_->sync());
  std::string record(kRecordHeaderBytes, '\0');
  record.push_back(static_cast<char>(WalRecordType::kClose));
  TM_TRY(synced_wal_->append(record));
  TM_TRY(synced_wal_->sync());
  synced_wal_->trim();
  return {};
}

}  // namespace tidemark
