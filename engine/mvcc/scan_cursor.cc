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

void ScanCursor::add_run(const SortedRun& run, bool history, Versionstamp at) {
  SortedRun chosen;
  const RunRange range = overlapping(run, start_, end_);
  for (size_t i = range.begin; i < range.end; ++i) {
    const SegmentMeta& meta = run[i]->meta();
    if (meta.min_stamp > at || (history && meta.max_superseded <= at)) continue;
    chosen.push_back(run[i]);
  }
  if (chosen.empty()) return;
  SegmentReadOptions options =
      options_.once_through ? SegmentReadOptions::once_through() : SegmentReadOptions();
  options.memory_only = options_.memory_only;
  sources_.push_back({std::make_unique<RunIterator>(std::move(chosen), options), at});
}

void ScanCursor::add_sources() {
  const Version& version = *state_->version;
  sources_.reserve(1 + state_->frozen.size() + version.live[0].size() + kLevels + version.history.size());
  const auto add_memtable = [&](const Memtable& table) {
    if (table.entries() > 0) sources_.push_back({std::make_unique<Memtable::Iterator>(table), at_});
  };
  add_memtable(*state_->active);
  for (const auto& table : state_->frozen) add_memtable(*table);
  for (const SegmentRef& segment : version.live[0]) add_run({segment}, false, at_);
  for (size_t level = 1; level < kLevels; ++level)
    if (!version.live[level].empty()) add_run(version.live[level], false, at_);
  for (const HistoryRun& run : version.history)
    if (run.max_superseded > at_ && run.min_stamp <= at_) add_run(run.segments, true, at_);
  for (const SharedRun& run : version.shared) add_run(run.segments, run.history, run.reads_at(at_));
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
  for (const Source& source : sources_) {
    if (reverse_)
      source.entries->seek_before(end_);
    else
      source.entries->seek(start_, Versionstamp::max());
    TM_TRY(check(*source.entries));
  }
  return {};
}

// All sources on the current key go beyond it.
Status ScanCursor::leave_key() {
  for (const Source* on_key : on_key_) {
    EntryIterator* const source = on_key->entries.get();
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

bool ScanCursor::find_visible(const Source& from) {
  EntryIterator& source = *from.entries;
  if (reverse_) {
    // Versions come oldest first here, and the one sought may be any: seek it, unless there is but one.
    if (source.one_version_per_key()) return visible(source.stamp(), source.superseded(), from.at);
    source.seek(key_, from.at);
    ++steps_;
    if (!source.valid() || source.key() != key_ || source.superseded() <= from.at) {
      if (source.status()) source.seek_before(key_);
      return false;
    }
    return true;
  }
  for (int steps = 0; source.valid() && source.key() == key_; ++steps) {
    if (source.stamp() <= from.at) return source.superseded() > from.at;
    if (steps < kStepsBeforeSeek)
      step(source);
    else
      source.seek(key_, from.at);
  }
  return false;
}

Result<bool> ScanCursor::settle_on_key() {
  best_ = nullptr;
  for (const Source* source : on_key_) {
    const bool found = find_visible(*source);
    TM_TRY(check(*source->entries));
    if (found && (best_ == nullptr || source->entries->stamp() > best_->stamp()))
      best_ = source->entries.get();
  }
  if (best_ != nullptr && !best_->tombstone()) return true;
  for (const Source* source : on_key_) source->entries->note_skipped(1);
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
    for (const Source& source : sources_) {
      if (!source.entries->valid()) continue;
      const int c = on_key_.empty() ? 0 : source.entries->key().compare(on_key_.front()->entries->key());
      if (!on_key_.empty() && (reverse_ ? c < 0 : c > 0)) continue;
      if (c != 0) on_key_.clear();
      on_key_.push_back(&source);
    }
    if (on_key_.empty() || !in_range(on_key_.front()->entries->key())) {
      on_key_.clear();
      return false;
    }
    key_ = on_key_.front()->entries->key();
    TM_ASSIGN(const bool present, settle_on_key());
    if (present) return true;
    TM_TRY(leave_key());
  }
}

}  // namespace tidemark
