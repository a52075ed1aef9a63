// The current ReadState and the manifest behind it: every change of the set of files goes through here.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/format/file_names.h"
#include "engine/io/sync.h"
#include "engine/manifest/manifest.h"
#include "engine/mvcc/version.h"
#include "engine/segment/segment_file.h"

namespace tidemark {

// Any thread, unless said otherwise.
class VersionSet {
 public:
  VersionSet(FileSystem& fs, std::string dir, OpenSegments& open_segments,
             std::unique_ptr<Manifest> manifest);

  const std::string& dir() const { return dir_; }
  const std::string& database_id() const { return database_id_; }
  FileSystem& fs() { return fs_; }

  // The newest state. A short lock that nobody holds during I/O, one of several so that readers seldom meet.
  std::shared_ptr<const ReadState> acquire() const;
  // Whether the memtable is still the active one. A reader that acquires a state, then reads the head, then
  // finds its active memtable still in place, knows that every commit up to that head is in its state.
  bool is_active(const Memtable* memtable) const {
    return active_.load(std::memory_order_acquire) == memtable;
  }

  // The validator only: the active memtable, if there is one, is frozen, and `next` takes its place.
  void switch_memtable(std::shared_ptr<Memtable> next);
  // Waiting for their flush.
  size_t frozen_count() const { return frozen_count_.load(std::memory_order_acquire); }

  // Makes an edit durable, then current. `flushed`, if given, is the oldest frozen memtable, now in segments.
  Status apply(const ManifestEdit& edit, const Memtable* flushed = nullptr) TM_EXCLUDES(manifest_mutex_);

  // The last edit is vouched for. Nothing is applied afterwards.
  Status close() TM_EXCLUDES(manifest_mutex_);

  uint64_t new_file_number() TM_EXCLUDES(manifest_mutex_);
  ManifestState manifest_state() const TM_EXCLUDES(manifest_mutex_);
  // A segment that is not part of the database yet.
  SegmentRef open_segment(const SegmentMeta& meta) {
    return std::make_shared<SegmentFile>(open_segments_, path(FileType::kSegment, meta.number), meta);
  }
  std::string path(FileType type, uint64_t number) const { return file_path(dir_, type, number); }

 private:
  static constexpr size_t kSlots = 8;
  struct alignas(64) Slot {
    SpinLock lock;
    std::shared_ptr<const ReadState> state TM_GUARDED_BY(lock);
  };

  void publish() TM_REQUIRES(state_mutex_);
  std::shared_ptr<const Version> build_version(const ManifestState& state) TM_REQUIRES(manifest_mutex_);

  FileSystem& fs_;
  const std::string dir_;
  OpenSegments& open_segments_;
  const std::string database_id_;

  mutable Mutex manifest_mutex_;  // held during manifest I/O; taken before state_mutex_
  const std::unique_ptr<Manifest> manifest_ TM_GUARDED_BY(manifest_mutex_);
  std::map<uint64_t, SegmentRef> segments_ TM_GUARDED_BY(manifest_mutex_);

  mutable Mutex state_mutex_;  // short
  ReadState current_ TM_GUARDED_BY(state_mutex_);
  std::atomic<const Memtable*> active_ = nullptr;
  std::atomic<size_t> frozen_count_ = 0;
  mutable std::array<Slot, kSlots> slots_;
};

}  // namespace tidemark
