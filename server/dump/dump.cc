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

// The entries of one view, up to a number of them. True if there may be more; `range` then begins there.
Result<bool> write_some(const ReadView& view, int64_t time_ms, EngineRange& range, Writer& writer) {
  const std::unique_ptr<Cursor> cursor = view.scan({range.start, range.end});
  for (uint64_t looked_at = 0; looked_at < kEntriesOfAView; ++looked_at) {
    TM_ASSIGN(const bool more, cursor->next());
    if (!more) return false;
    TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(cursor->value()));
    if (!value.expired_at(time_ms))
      TM_TRY(writer.entry(cursor->key().substr(1), &value, cursor->versionstamp()));
    range.start = cursor->key();
  }
  range.start.push_back('\0');
  return true;
}

}  // namespace

Result<Summary> dump(Database& database, Clock& clock, const Options& options, const LineTaker& line,
                     const ProgressTaker& progress) {
  std::shared_ptr<Snapshot> snapshot;
  Moment moment;
  if (options.moment) {
    moment = *options.moment;
    TM_ASSIGN(snapshot, database.pin(moment.versionstamp));
  } else {
    snapshot = database.pin_head();
    moment = {snapshot->versionstamp(), std::max(clock.wall_us() / 1000, database.head_timestamp_ms())};
  }
  Writer writer(clock, line, progress);
  TM_TRY(writer.begin({options.name, moment.versionstamp, moment.time_ms, options.prefix}));
  EngineRange range = range_of(options.prefix);
  for (bool more = true; more;) {
    const std::unique_ptr<ReadView> view = database.read(*snapshot);
    TM_ASSIGN(more, write_some(*view, moment.time_ms, range, writer));
  }
  TM_TRY(writer.end());
  return Summary{moment, writer.counts()};
}

}  // namespace tidemark::dump
