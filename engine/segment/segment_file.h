// A segment as the rest of the engine holds it: what is known of it, and its reader, opened when first needed
// and closed when too many are open. The file is removed when the last holder of an obsolete segment lets go.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/segment_meta.h"
#include "engine/io/file_system.h"
#include "engine/io/sync.h"
#include "engine/segment/block_cache.h"
#include "engine/segment/segment_reader.h"

namespace tidemark {

class SegmentFile;

// Bounds how many segments are open at once, over all databases, and the memory of their indexes and filters
// (at most three quarters of the block cache's budget). Any thread. Outlives its segments.
class OpenSegments {
 public:
  OpenSegments(FileSystem& fs, BlockCache& cache, int max_open)
      : fs_(fs), cache_(cache), max_open_(max_open) {}

  uint64_t next_cache_id() { return next_cache_id_.fetch_add(1, std::memory_order_relaxed); }
  FileSystem& fs() { return fs_; }
  BlockCache& cache() { return cache_; }
  size_t open_count() const;

 private:
  friend class SegmentFile;
  void opened(SegmentFile& file) TM_EXCLUDES(mutex_);
  void forget(SegmentFile& file) TM_EXCLUDES(mutex_);

  FileSystem& fs_;
  BlockCache& cache_;
  const int max_open_;
  std::atomic<uint64_t> next_cache_id_ = 1;
  mutable Mutex mutex_;
  std::vector<SegmentFile*> open_ TM_GUARDED_BY(mutex_);  // the clock
  size_t hand_ TM_GUARDED_BY(mutex_) = 0;
};

class SegmentFile {
 public:
  SegmentFile(OpenSegments& open, std::string path, SegmentMeta meta)
      : open_(open), path_(std::move(path)), meta_(std::move(meta)), cache_id_(open.next_cache_id()) {}
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;

  const SegmentMeta& meta() const { return meta_; }
  const std::string& path() const { return path_; }

  // Opens the file if need be. With memory_only: kWouldBlock if it is not open.
  Result<std::shared_ptr<const SegmentReader>> reader(bool memory_only) const;

  // The file is no longer part of the database: remove it when the last holder lets go.
  void mark_obsolete() { obsolete_.store(true, std::memory_order_relaxed); }

  // Counts tombstones that scans had to pass over here. Any thread.
  void note_skipped(uint64_t n) const { skipped_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t skipped() const { return skipped_.load(std::memory_order_relaxed); }

 private:
  friend class OpenSegments;

  OpenSegments& open_;
  const std::string path_;
  const SegmentMeta meta_;
  const uint64_t cache_id_;
  std::atomic<bool> obsolete_ = false;
  mutable std::atomic<uint64_t> skipped_ = 0;
  mutable std::atomic<bool> used_ = false;  // since the clock's hand last passed
  mutable Mutex opening_;                   // held while the file is being opened
  mutable SpinLock slot_lock_;
  mutable std::shared_ptr<const SegmentReader> slot_ TM_GUARDED_BY(slot_lock_);
};

using SegmentRef = std::shared_ptr<SegmentFile>;

}  // namespace tidemark
