#include "engine/mvcc/scan_cursor.h"

#include <algorithm>

#include "engine/mvcc/run_iterator.h"
#include "engine/mvcc/visibility.h"

// Key by key: of all sources the nearest key in the direction of the scan is chosen; each source that stands
// on it is put on the version that the read sees, if it has one; the newest of these is given out, from where
// it lies. A source that would have to step over many versions of one key seeks instead.

namespace tidemark {
namespace {

constexpr int kStepsBeforeSeek = 8;
constexpr uint64_t kWadingKeys = 1024;

}  // namespace

ScanCursor::ScanCursor(std::shared_ptr<const ReadState> state, Versionstamp at, const ScanRange& range,
                       const ReadOptions& options, WadingObserver* observer)
    : state_(std::move(state)),
      at_(at),
      start_(range.start),
      end_(range.end),
      reverse_(range.reverse),
      options_(options),
      observer_(observer) {}

ScanCursor::~ScanCursor() {
  if (skipped_ >= kWadingKeys && observer_ != nullptr) observer_->on_wading();
}

bool ScanCursor::in_range(std::string_view key) const {
  return reverse_ ? key >= start_ : end_.empty() || key < end_;
}

void ScanCursor::add_run(const SortedRun& run, bool history) {
  SortedRun chosen;
  const RunRange range = overlapping(run, start_, end_);
  for (size_t i = range.begin; i < range.end; ++i) {
    const SegmentMeta& meta = run[i]->meta();
    if (meta.min_stamp > at_ || (history && meta.max_superseded <= at_)) continue;
    chosen.push_back(run[i]);
  }
  if (chosen.empty()) return;
  SegmentReadOptions options;
  options.memory_only = options_.memory_only;
  sources_.push_back(std::make_unique<RunIterator>(std::move(chosen), options));
}

void ScanCursor::add_sources() {
  const Version& version = *state_->version;
  sources_.reserve(1 + state_->frozen.size() + version.live[0].size() + kLevels + version.history.size());
  const auto add_memtable = [&](const Memtable& table) {
    if (table.entries() > 0) sources_.push_back(std::make_unique<Memtable::Iterator>(table));
  };
  add_memtable(*state_->active);
  for (const auto& table : state_->frozen) add_memtable(*table);
  for (const SegmentRef& segment : version.live[0]) add_run({segment}, false);
  for (size_t level = 1; level < kLevels; ++level)
    if (!version.live[level].empty()) add_run(version.live[level], false);
  for (const HistoryRun& run : version.history)
    if (run.max_superseded > at_ && run.min_stamp <= at_) add_run(run.segments, true);
}

Status ScanCursor::check(const EntryIterator& source) const {
  TM_TRY(source.status());
  if (options_.max_steps != 0 && steps_ > options_.max_steps)
    return fail(ErrorCode::kWouldBlock, "the scan takes more steps than allowed");
  return {};
}

Status ScanCursor::position() {
  positioned_ = true;
  if (!end_.empty() && start_ >= end_) return {};
  add_sources();
  for (const auto& source : sources_) {
    if (reverse_)
      source->seek_before(end_);
    else
      source->seek(start_, Versionstamp::max());
    TM_TRY(check(*source));
  }
  return {};
}

// All sources on the current key go beyond it.
Status ScanCursor::leave_key() {
  for (EntryIterator* source : on_key_) {
    int steps = 0;
    while (source->valid() && source->key() == key_) {
      if (++steps <= kStepsBeforeSeek) {
        step(*source);
      } else if (reverse_) {
        source->seek_before(key_);
      } else {
        const std::string successor = key_ + '\0';
        source->seek(successor, Versionstamp::max());
      }
    }
    if (steps > 1) source->note_skipped(static_cast<uint64_t>(steps) - 1);
    TM_TRY(check(*source));
  }
  on_key_.clear();
  return {};
}

bool ScanCursor::find_visible(EntryIterator& source) {
  if (reverse_) {
    // Versions come oldest first here, and the one sought may be any: seek it, unless there is but one.
    if (source.one_version_per_key()) return visible(source.stamp(), source.superseded(), at_);
    source.seek(key_, at_);
    ++steps_;
    if (!source.valid() || source.key() != key_ || source.superseded() <= at_) {
      if (source.status()) source.seek_before(key_);
      return false;
    }
    return true;
  }
  for (int steps = 0; source.valid() && source.key() == key_; ++steps) {
    if (source.stamp() <= at_) return source.superseded() > at_;
    if (steps < kStepsBeforeSeek)
      step(source);
    else
      source.seek(key_, at_);
  }
  return false;
}

Result<bool> ScanCursor::settle_on_key() {
  best_ = nullptr;
  for (EntryIterator* source : on_key_) {
    const bool found = find_visible(*source);
    TM_TRY(check(*source));
    if (found && (best_ == nullptr || source->stamp() > best_->stamp())) best_ = source;
  }
  if (best_ != nullptr && !best_->tombstone()) return true;
  for (const EntryIterator* source : on_key_) source->note_skipped(1);
  ++skipped_;
  best_ = nullptr;
  return false;
}

Result<bool> ScanCursor::next() {
  if (!positioned_) {
    TM_TRY(position());
  } else {
    TM_TRY(leave_key());
  }
  while (true) {
    on_key_.clear();
    for (const auto& source : sources_) {
      if (!source->valid()) continue;
      const int c = on_key_.empty() ? 0 : source->key().compare(on_key_.front()->key());
      if (!on_key_.empty() && (reverse_ ? c < 0 : c > 0)) continue;
      if (c != 0) on_key_.clear();
      on_key_.push_back(source.get());
    }
    if (on_key_.empty() || !in_range(on_key_.front()->key())) {
      on_key_.clear();
      return false;
    }
    key_ = on_key_.front()->key();
    TM_ASSIGN(const bool present, settle_on_key());
    if (present) return true;
    TM_TRY(leave_key());
  }
}

}  // namespace tidemark
