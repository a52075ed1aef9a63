// The moment is pinned for as long as it takes; views of it are opened for a piece at a time, since a view
// keeps files and memory of the store.
#include "server/dump/dump.h"

#include <algorithm>
#include <memory>

#include "engine/io/clock.h"
#include "server/kv/keyspace.h"

namespace tidemark::dump {
namespace {

constexpr uint64_t kEntriesOfAView = 4096;
constexpr int64_t kProgressPauseUs = 500'000;
constexpr int kMaxPins = 100;
// Parts begin with smaller bytes, so this is behind all keys that have more parts.
constexpr char kBehindAllParts = '\xff';

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

struct EngineRange {
  std::string start;
  std::string end;
};

EngineRange range_of(const std::optional<std::string>& prefix) {
  EngineRange range{std::string(1, kv::kUserPrefix), std::string(1, kv::kUserPrefix + 1)};
  if (!prefix || prefix->empty()) return range;
  range.start += *prefix;
  range.end = range.start + kBehindAllParts;
  return range;
}

// The entries of one view, up to a number of them, but for those that have expired at `now_ms` (0: none has).
// True if there may be more; `range` then begins there.
Result<bool> write_some(const ReadView& view, int64_t now_ms, EngineRange& range, Writer& writer) {
  const std::unique_ptr<Cursor> cursor = view.scan({range.start, range.end});
  for (uint64_t looked_at = 0; looked_at < kEntriesOfAView; ++looked_at) {
    TM_ASSIGN(const bool more, cursor->next());
    if (!more) return false;
    TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(cursor->value()));
    if (!value.expired_at(now_ms))
      TM_TRY(writer.entry(cursor->key().substr(1), &value, cursor->versionstamp()));
    range.start = cursor->key();
  }
  range.start.push_back('\0');
  return true;
}

Status write_state(const Database& database, const Snapshot& snapshot, int64_t now_ms, EngineRange range,
                   Writer& writer) {
  for (bool more = true; more;) {
    const std::unique_ptr<ReadView> view = database.read(snapshot);
    TM_ASSIGN(more, write_some(*view, now_ms, range, writer));
  }
  return {};
}

// Some commits and what each wrote, with the values that a reader saw right behind it. As long as a visit
// lasts, memtables are kept, so one visit is short.
class CommitWriter final : public HistoryVisitor {
 public:
  CommitWriter(Database& database, const EngineRange& range, Versionstamp from, Writer& writer)
      : database_(database), range_(range), done_(from), stamp_(from), writer_(writer) {}

  const Status& status() const { return status_; }
  // Whether it was enough before the end; then the next visit goes on from done().
  bool enough() const { return enough_; }
  Versionstamp done() const { return done_; }

  bool on_commit(const CommitPoint& commit, uint32_t) override {
    done_ = stamp_;
    enough_ = !status_ || writes_ >= kEntriesOfAView;
    stamp_ = commit.stamp;
    view_.reset();
    return !enough_;
  }
  void on_write(std::string_view key, bool erased) override {
    ++writes_;
    if (status_ && key >= range_.start && key < range_.end) status_ = write(key, erased);
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
  const EngineRange& range_;
  Versionstamp done_;   // the commits up to here
  Versionstamp stamp_;  // of the commit under way
  Writer& writer_;
  std::unique_ptr<ReadView> view_;
  uint64_t writes_ = 0;
  bool enough_ = false;
  Status status_;
};

// REQUIRES: `from` is pinned.
Status write_commits(Database& database, Versionstamp from, Versionstamp to, const EngineRange& range,
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
  const EngineRange range = range_of(options.prefix);
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
