// The moment is pinned for as long as it takes; views of it and visits of history last for a piece at a time,
// since they keep files and memory of the store.
#include "server/dump/dump.h"

#include <algorithm>
#include <memory>

#include "engine/io/clock.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"

namespace tidemark::dump {
namespace {

constexpr uint64_t kWritesOfAVisit = 4096;
constexpr int64_t kProgressPauseUs = 500'000;
constexpr int kMaxPins = 100;

// Writes lines and counts them.
class Writer {
 public:
  Writer(Clock& clock, const LineTaker& line, const ProgressTaker& progress)
      : clock_(clock), line_(line), progress_(progress) {}

  Status begin(const Header& header) { return line_(header_line(header)); }
  // `value` null: a deletion.
  Status entry(std::string_view key, const kv::StoredValue* value, Versionstamp versionstamp) {
    text_.clear();
    append_entry_line(text_, key, value, versionstamp);
    TM_TRY(line_(text_));
    ++(value == nullptr ? counts_.deletions : counts_.entries);
    const int64_t now_us = clock_.monotonic_us();
    if (now_us < next_progress_us_) return {};
    next_progress_us_ = now_us + kProgressPauseUs;
    return progress_(counts_.entries + counts_.deletions);
  }
  Status end() { return line_(end_line(counts_)); }
  const Counts& counts() const { return counts_; }

 private:
  Clock& clock_;
  const LineTaker& line_;
  const ProgressTaker& progress_;
  std::string text_;
  Counts counts_;
  int64_t next_progress_us_ = 0;
};

// But for the entries that have expired at `now_ms` (0: none has).
Status write_state(const Database& database, const Snapshot& snapshot, int64_t now_ms,
                   const kv::KeyRange& range, Writer& writer) {
  kv::KeyspaceScan scan(database, snapshot, range);
  while (true) {
    TM_ASSIGN(const bool more, scan.next());
    if (!more) return {};
    TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(scan.value()));
    if (!value.expired_at(now_ms)) TM_TRY(writer.entry(scan.key().substr(1), &value, scan.versionstamp()));
  }
}

// Some commits and what each wrote, with the values that a reader saw right behind it. As long as a visit
// lasts, memtables are kept, so one visit is short.
class CommitWriter final : public HistoryVisitor {
 public:
  CommitWriter(Database& database, const kv::KeyRange& range, Versionstamp from, Writer& writer)
      : database_(database), range_(range), done_(from), stamp_(from), writer_(writer) {}

  const Status& status() const { return status_; }
  // Whether it was enough before the end; then the next visit goes on from done().
  bool enough() const { return enough_; }
  Versionstamp done() const { return done_; }

  bool on_commit(const CommitPoint& commit, uint32_t) override {
    done_ = stamp_;
    enough_ = !status_ || writes_ >= kWritesOfAVisit;
    stamp_ = commit.stamp;
    view_.reset();
    return !enough_;
  }
  void on_write(std::string_view key, bool erased) override {
    ++writes_;
    if (status_ && range_.contains(key)) status_ = write(key, erased);
  }

 private:
  Status write(std::string_view key, bool erased) {
    if (erased) return writer_.entry(key.substr(1), nullptr, stamp_);
    if (view_ == nullptr) {
      TM_ASSIGN(const std::shared_ptr<Snapshot> snapshot, database_.pin(stamp_));
      view_ = database_.read(*snapshot);
    }
    TM_ASSIGN(const std::optional<PinnedValue> found, view_->get(key));
    if (!found)
      return fail(ErrorCode::kCorruption,
                  "a version of a key that commit " + stamp_.hex() + " wrote is missing");
    TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(found->bytes()));
    return writer_.entry(key.substr(1), &value, found->versionstamp());
  }

  Database& database_;
  const kv::KeyRange& range_;
  Versionstamp done_;   // the commits up to here
  Versionstamp stamp_;  // of the commit under way
  Writer& writer_;
  std::unique_ptr<ReadView> view_;
  uint64_t writes_ = 0;
  bool enough_ = false;
  Status status_;
};

// REQUIRES: `from` is pinned.
Status write_commits(Database& database, Versionstamp from, Versionstamp to, const kv::KeyRange& range,
                     Writer& writer) {
  for (bool more = true; more;) {
    CommitWriter commits(database, range, from, writer);
    TM_TRY(database.visit_history(from, to, commits));
    TM_TRY(commits.status());
    more = commits.enough();
    from = commits.done();
  }
  return {};
}

// The oldest version that there is. It may be gone between asking for it and pinning it.
Result<std::shared_ptr<Snapshot>> pin_horizon(Database& database) {
  for (int tries = 0;; ++tries) {
    Result<std::shared_ptr<Snapshot>> pinned = database.pin(database.horizon());
    if (pinned || pinned.error().code != ErrorCode::kBeyondHorizon || tries == kMaxPins) return pinned;
  }
}

}  // namespace

Result<Summary> dump(Database& database, Clock& clock, const Options& options, const LineTaker& line,
                     const ProgressTaker& progress) {
  std::shared_ptr<Snapshot> oldest;
  if (options.history) {
    TM_ASSIGN(oldest, pin_horizon(database));
  }
  std::shared_ptr<Snapshot> snapshot;
  kv::Moment moment;
  if (options.moment) {
    moment = *options.moment;
    TM_ASSIGN(snapshot, database.pin(moment.stamp));
  } else {
    snapshot = database.pin_head();
    moment = {snapshot->versionstamp(), std::max(clock.wall_us() / 1000, database.head_timestamp_ms())};
  }
  Writer writer(clock, line, progress);
  TM_TRY(writer.begin({options.name, moment.stamp, moment.now_ms, options.prefix, options.history}));
  const kv::KeyRange range = kv::user_range(options.prefix.value_or(""));
  if (options.history) {
    TM_TRY(write_state(database, *oldest, 0, range, writer));
    TM_TRY(write_commits(database, oldest->versionstamp(), moment.stamp, range, writer));
  } else {
    TM_TRY(write_state(database, *snapshot, moment.now_ms, range, writer));
  }
  TM_TRY(writer.end());
  return Summary{moment, writer.counts()};
}

}  // namespace tidemark::dump
