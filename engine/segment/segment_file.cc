#include "engine/segment/segment_file.h"

#include <algorithm>

namespace tidemark {

size_t OpenSegments::open_count() const {
  MutexLock lock(mutex_);
  return open_.size();
}

void OpenSegments::opened(SegmentFile& file) {
  std::vector<std::shared_ptr<const SegmentReader>> closing;  // closed outside of the locks
  MutexLock lock(mutex_);
  open_.push_back(&file);
  const uint64_t memory_limit = cache_.capacity() - cache_.capacity() / 4;
  // Two rounds of the hand at most: the first takes second chances away.
  size_t steps = 2 * open_.size();
  uint64_t freed = 0;
  while (open_.size() > 1 && steps-- > 0 &&
         (open_.size() > static_cast<size_t>(max_open_) || cache_.reserved() - freed > memory_limit)) {
    if (hand_ >= open_.size()) hand_ = 0;
    SegmentFile* victim = open_[hand_];
    if (victim == &file || victim->used_.exchange(false, std::memory_order_relaxed)) {
      ++hand_;
      continue;
    }
    {
      SpinLockGuard guard(victim->slot_lock_);
      freed += victim->slot_->memory_bytes();
      closing.push_back(std::move(victim->slot_));
      victim->slot_ = nullptr;
    }
    open_[hand_] = open_.back();
    open_.pop_back();
  }
}

void OpenSegments::forget(SegmentFile& file) {
  MutexLock lock(mutex_);
  const auto it = std::find(open_.begin(), open_.end(), &file);
  if (it == open_.end()) return;
  *it = open_.back();
  open_.pop_back();
}

SegmentFile::~SegmentFile() {
  open_.forget(*this);
  if (obsolete_.load(std::memory_order_relaxed)) (void)open_.fs().remove(path_).has_value();
}

Result<std::shared_ptr<const SegmentReader>> SegmentFile::reader(bool memory_only) const {
  const auto open_reader = [this]() -> std::shared_ptr<const SegmentReader> {
    SpinLockGuard guard(slot_lock_);
    return slot_;
  };
  if (auto reader = open_reader()) [[likely]] {
    if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
    return reader;
  }
  if (memory_only) return fail(ErrorCode::kWouldBlock, "a segment is not open");
  MutexLock opening(opening_);
  if (auto reader = open_reader()) return reader;
  TM_ASSIGN(auto reader, SegmentReader::open(open_.fs(), path_, meta_, cache_id_, open_.cache()));
  {
    SpinLockGuard guard(slot_lock_);
    slot_ = reader;
  }
  used_.store(true, std::memory_order_relaxed);
  open_.opened(const_cast<SegmentFile&>(*this));
  return reader;
}

}  // namespace tidemark
