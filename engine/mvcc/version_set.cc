#include "engine/mvcc/version_set.h"

#include <algorithm>

#include "engine/base/check.h"

namespace tidemark {

VersionSet::VersionSet(FileSystem& fs, std::string dir, OpenSegments& open_segments,
                       std::unique_ptr<Manifest> manifest)
    : fs_(fs),
      dir_(std::move(dir)),
      open_segments_(open_segments),
      database_id_(manifest->database_id()),
      manifest_(std::move(manifest)) {
  MutexLock manifest_lock(manifest_mutex_);
  auto version = build_version(manifest_->state());
  MutexLock lock(state_mutex_);
  current_.version = std::move(version);
  publish();
}

std::shared_ptr<const ReadState> VersionSet::acquire() const {
  static std::atomic<size_t> next_thread = 0;
  thread_local const size_t slot = next_thread.fetch_add(1, std::memory_order_relaxed) % kSlots;
  SpinLockGuard guard(slots_[slot].lock);
  return slots_[slot].state;
}

void VersionSet::publish() {
  // Each slot has a reference count of its own: readers on different slots share no cache line.
  const auto state = std::make_shared<const ReadState>(current_);
  for (Slot& slot : slots_) {
    auto own = std::make_shared<std::shared_ptr<const ReadState>>(state);
    std::shared_ptr<const ReadState> alias(own, own->get());
    SpinLockGuard guard(slot.lock);
    slot.state.swap(alias);
  }
  active_.store(current_.active.get(), std::memory_order_release);
  frozen_count_.store(current_.frozen.size(), std::memory_order_release);
}

void VersionSet::switch_memtable(std::shared_ptr<Memtable> next) {
  MutexLock lock(state_mutex_);
  if (current_.active != nullptr) current_.frozen.insert(current_.frozen.begin(), current_.active);
  current_.active = std::move(next);
  publish();
}

std::shared_ptr<const Version> VersionSet::build_version(const ManifestState& state) {
  auto version = std::make_shared<Version>();
  std::map<uint64_t, HistoryRun> runs;
  for (const auto& [number, placed] : state.segments) {
    SegmentRef& segment = segments_[number];
    if (segment == nullptr) segment = open_segment(placed.meta);
    if (placed.meta.kind == SegmentKind::kLive) {
      version->live[placed.place].push_back(segment);
    } else {
      HistoryRun& run = runs[placed.place];
      run.id = placed.place;
      run.segments.push_back(segment);
      run.min_stamp = std::min(run.min_stamp, placed.meta.min_stamp);
      run.max_superseded = std::max(run.max_superseded, placed.meta.max_superseded);
    }
  }
  const auto by_key = [](const SegmentRef& a, const SegmentRef& b) {
    return a->meta().smallest_key < b->meta().smallest_key;
  };
  std::sort(version->live[0].begin(), version->live[0].end(), [](const SegmentRef& a, const SegmentRef& b) {
    return a->meta().max_stamp != b->meta().max_stamp ? a->meta().max_stamp > b->meta().max_stamp
                                                      : a->meta().number > b->meta().number;
  });
  for (size_t level = 1; level < kLevels; ++level)
    std::sort(version->live[level].begin(), version->live[level].end(), by_key);
  for (auto& [id, run] : runs) {
    std::sort(run.segments.begin(), run.segments.end(), by_key);
    version->history.push_back(std::move(run));
  }
  return version;
}

Status VersionSet::apply(const ManifestEdit& edit, const Memtable* flushed) {
  std::vector<SegmentRef> obsolete;  // let go outside of the locks: that may remove files
  MutexLock manifest_lock(manifest_mutex_);
  TM_TRY(manifest_->apply(edit));
  for (uint64_t number : edit.removed_segments) {
    // A segment that only moved is removed and added by one edit.
    if (manifest_->state().segments.contains(number)) continue;
    const auto it = segments_.find(number);
    it->second->mark_obsolete();
    obsolete.push_back(std::move(it->second));
    segments_.erase(it);
  }
  auto version = build_version(manifest_->state());
  MutexLock lock(state_mutex_);
  if (flushed != nullptr) {
    TM_CHECK(!current_.frozen.empty() && current_.frozen.back().get() == flushed);
    current_.frozen.pop_back();
  }
  std::shared_ptr<const Version> old = std::exchange(current_.version, std::move(version));
  publish();
  return {};
}

Status VersionSet::close() {
  MutexLock lock(manifest_mutex_);
  return manifest_->close();
}

uint64_t VersionSet::new_file_number() {
  MutexLock lock(manifest_mutex_);
  return manifest_->new_file_number();
}

ManifestState VersionSet::manifest_state() const {
  MutexLock lock(manifest_mutex_);
  return manifest_->state();
}

}  // namespace tidemark
