// An ingest (engine/database.h) whose last look at the database catches up what was committed meanwhile. Of
// few changes there is nothing but the last look: then the versionstamp is simply the next. Of many, most are
// written before, with versionstamps ahead of the clock, by more than the writing is expected to take; if
// commits overtake them nevertheless, it is begun again with a wider margin.
//
// Keys with an expiry need an entry in the index, and entries go in by parts in the order of keys: so each
// part of the user's keys is followed by one of the index.
#include "server/kv/rewind.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "server/kv/changed_keys.h"
#include "server/kv/keyspace.h"
#include "server/kv/past_reader.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {
namespace {

constexpr uint64_t kWritesOfOneStamp = 65'536;
// So many writes in history are looked at while writers wait.
constexpr uint64_t kFewWrites = 5'000;
constexpr uint64_t kLeastMarginUs = 2'000'000;
constexpr uint64_t kMarginUsPerWrite = 20;
constexpr int kAttempts = 4;
constexpr uint64_t kMarginGrowth = 4;
constexpr size_t kIndexEntriesOfOnePart = size_t{1} << 17;
constexpr uint64_t kKeysOfOneProgress = 8192;

// How many writes history holds in (from, to], as far as `most`.
Result<uint64_t> count_writes(const Database& database, Versionstamp from, Versionstamp to, uint64_t most) {
  uint64_t sum = 0;
  TM_TRY(database.visit_commits(from, to, [&](const CommitPoint&, uint32_t writes) {
    sum += writes;
    return sum <= most;
  }));
  return sum;
}

class Rewinding {
 public:
  Rewinding(Store& store, const Moment& target, const RewindOptions& options)
      : store_(store),
        database_(store.database()),
        target_(target),
        options_(options),
        now_ms_(std::max(target.now_ms, store.clock().wall_us() / 1000)) {}

  Result<RewindResult> run() {
    TM_ASSIGN(past_, PastReader::open(database_, target_.stamp));
    // What waits to be released is undone with the rest.
    started_at_ = database_.durable();
    TM_ASSIGN(const uint64_t writes, count_writes(database_, target_.stamp, started_at_, UINT64_MAX));
    if (options_.dry_run) {
      TM_TRY(write_between(target_.stamp, started_at_));
      result_.before = result_.after = head_moment(database_);
      return result_;
    }
    if (writes <= kFewWrites) return publish(0);
    uint64_t margin_us = std::max(kLeastMarginUs, writes * kMarginUsPerWrite);
    for (int attempt = 1;; ++attempt, margin_us *= kMarginGrowth) {
      result_ = {};
      prepared_.reset();
      Result<RewindResult> done = publish(margin_us);
      if (done || done.error().code != ErrorCode::kWouldBlock || attempt == kAttempts) return done;
    }
  }

 private:
  Result<RewindResult> publish(uint64_t margin_us) {
    ingest_ = database_.begin_ingest();
    earliest_expiry_ms_ = 0;
    Versionstamp done_to = target_.stamp;
    if (margin_us != 0) {
      done_to = database_.durable();
      started_at_ = done_to;
      next_stamp_ = {
          next_versionstamp_number(done_to.number, database_.epoch(), store_.clock().wall_us()) + margin_us,
          0};
      TM_TRY(write_between(target_.stamp, done_to));
    }
    const CommitOutcome outcome = ingest_->publish(
        [&](const CommitPoint& last, const CommitPoint& next) -> Result<std::optional<CommitPoint>> {
          result_.before = {last.stamp, last.timestamp_ms};
          if (margin_us == 0) next_stamp_ = next.stamp;
          if (next.stamp > next_stamp_)
            return fail(ErrorCode::kWouldBlock, "commits came faster than the rewind could be written");
          if (done_to < last.stamp) TM_TRY(write_between(done_to, last.stamp));
          if (result_.changes() == 0 && written_ == 0) return std::nullopt;
          if (started_at_ < last.stamp) {
            TM_TRY(database_.visit_commits(started_at_, last.stamp, [&](const CommitPoint&, uint32_t) {
              ++result_.commits_meanwhile;
              return true;
            }));
          }
          return CommitPoint{stamp_of(written_ - 1), next.timestamp_ms};
        });
    ingest_.reset();
    written_ = 0;
    if (!outcome.status) return std::unexpected(outcome.status.error());
    result_.after = outcome.committed ? Moment{outcome.versionstamp, outcome.timestamp_ms} : result_.before;
    if (outcome.committed) store_.changed_widely(earliest_expiry_ms_);
    return result_;
  }

  // Brings every key that was written in (from, to] back to what it was. `to`: a state that can be read now.
  Status write_between(Versionstamp from, Versionstamp to) {
    if (from != target_.stamp) {
      TM_ASSIGN(prepared_, PastReader::open(database_, from));
    }
    TM_ASSIGN(present_, PastReader::open(database_, to));
    if (!options_.dry_run) TM_TRY(ingest_->begin_part());
    if (options_.queues) TM_TRY(write_range(from, to, part_range(kQueuePrefix)));
    TM_TRY(write_range(from, to, user_range(options_.prefix)));
    return write_index();
  }

  Status write_range(Versionstamp from, Versionstamp to, const KeyRange& range) {
    ChangedKeys keys(database_, from, to, range);
    while (true) {
      TM_ASSIGN(const bool more, keys.next());
      if (!more) return {};
      TM_TRY(restore(keys.key()));
      if (++looked_at_ % kKeysOfOneProgress == 0 && options_.progress) TM_TRY(options_.progress(looked_at_));
    }
  }

  Status restore(std::string_view key) {
    TM_ASSIGN(std::optional<PinnedValue> then, past_->get(key));
    TM_ASSIGN(const std::optional<PinnedValue> now, present_->get(key));
    const bool of_user = key.front() == kUserPrefix;
    int64_t expire_at_ms = 0;
    if (then && of_user) {
      TM_ASSIGN(const StoredValue value, parse_stored_value(then->bytes()));
      expire_at_ms = value.expire_at_ms;
      if (value.expired_at(now_ms_)) then.reset();
    }
    if (same(then, now)) return {};
    if (prepared_ != nullptr) {
      // What differed when the ingest was prepared was written then, above all that came since.
      TM_ASSIGN(const std::optional<PinnedValue> before, prepared_->get(key));
      if (!same(then, before)) return {};
    }
    if (of_user)
      ++(then ? result_.restored : result_.removed);
    else
      ++result_.messages;
    if (options_.dry_run) return {};
    TM_TRY(ingest_->add(key, stamp_of(written_++), then ? std::optional(then->bytes()) : std::nullopt));
    if (!then || expire_at_ms == 0) return {};
    std::string entry = expiry_key_from(expire_at_ms);
    entry += key.substr(1);
    index_.push_back(std::move(entry));
    if (earliest_expiry_ms_ == 0 || expire_at_ms < earliest_expiry_ms_) earliest_expiry_ms_ = expire_at_ms;
    if (index_.size() < kIndexEntriesOfOnePart) return {};
    return write_index();
  }

  // What was gathered for the index, as a part of its own; then another begins.
  Status write_index() {
    if (index_.empty() || options_.dry_run) {
      index_.clear();
      return {};
    }
    TM_TRY(ingest_->begin_part());
    std::ranges::sort(index_);
    for (const std::string& entry : index_) TM_TRY(ingest_->add(entry, stamp_of(written_++), ""));
    index_.clear();
    return ingest_->begin_part();
  }

  static bool same(const std::optional<PinnedValue>& a, const std::optional<PinnedValue>& b) {
    return a.has_value() == b.has_value() && (!a || a->bytes() == b->bytes());
  }
  Versionstamp stamp_of(uint64_t write) const { return {next_stamp_.number + write / kWritesOfOneStamp, 0}; }

  Store& store_;
  Database& database_;
  const Moment target_;
  const RewindOptions& options_;
  const int64_t now_ms_;  // what has expired by then is not restored

  std::unique_ptr<PastReader> past_;      // at the target
  std::unique_ptr<PastReader> present_;   // what is being brought back
  std::unique_ptr<PastReader> prepared_;  // of a catch-up: what the ingest was prepared from
  std::unique_ptr<Ingest> ingest_;
  Versionstamp started_at_;
  Versionstamp next_stamp_;  // of the first write
  uint64_t written_ = 0;
  uint64_t looked_at_ = 0;
  std::vector<std::string> index_;
  int64_t earliest_expiry_ms_ = 0;
  RewindResult result_;
};

}  // namespace

Result<RewindResult> rewind(Store& store, const Moment& target, const RewindOptions& options) {
  return Rewinding(store, target, options).run();
}

}  // namespace tidemark::kv
