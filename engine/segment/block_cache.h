// Decoded blocks of all segments of all databases of a process, within a budget of bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/format/block.h"
#include "engine/io/sync.h"

namespace tidemark {

// Any thread. Replacement is by clock (second chance), per shard.
class BlockCache {
 public:
  explicit BlockCache(uint64_t capacity_bytes);

  // `file` names a segment for the life of the process (SegmentFile::cache_id).
  std::shared_ptr<const Block> find(uint64_t file, uint64_t offset);
  void insert(uint64_t file, uint64_t offset, std::shared_ptr<const Block> block);

  // Memory that others hold on the same budget (indexes and filters of open segments): blocks get what is
  // left, but at least a quarter of the capacity.
  void add_reserved(int64_t bytes) { reserved_.fetch_add(bytes, std::memory_order_relaxed); }
  uint64_t reserved() const { return static_cast<uint64_t>(reserved_.load(std::memory_order_relaxed)); }
  uint64_t capacity() const { return capacity_; }
  uint64_t bytes() const;
  // Answers of find().
  struct Lookups {
    uint64_t hits = 0;
    uint64_t misses = 0;
  };
  Lookups lookups() const;

 private:
  static constexpr size_t kShards = 16;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Slot {
    uint64_t file = 0;
    uint64_t offset = 0;
    std::shared_ptr<const Block> block;  // null: the slot is free
    uint32_t next = kNone;               // in its bucket's chain, or in the list of free slots
    bool referenced = false;
  };
  struct alignas(64) Shard {
    SpinLock lock;
    std::vector<Slot> slots TM_GUARDED_BY(lock);
    std::vector<uint32_t> buckets TM_GUARDED_BY(lock) = std::vector<uint32_t>(64, kNone);
    uint32_t free TM_GUARDED_BY(lock) = kNone;
    uint32_t hand TM_GUARDED_BY(lock) = 0;
    uint32_t used TM_GUARDED_BY(lock) = 0;
    uint64_t bytes TM_GUARDED_BY(lock) = 0;
    Lookups lookups TM_GUARDED_BY(lock);
  };

  static uint64_t hash(uint64_t file, uint64_t offset);
  static uint64_t charge(const Block& block) { return block.memory_bytes() + sizeof(Slot) + 48; }
  static uint32_t lookup(Shard& shard, uint64_t hash, uint64_t file, uint64_t offset) TM_REQUIRES(shard.lock);
  static void evict(Shard& shard, uint64_t limit) TM_REQUIRES(shard.lock);
  static void grow(Shard& shard) TM_REQUIRES(shard.lock);
  static uint32_t& bucket(Shard& shard, uint64_t hash) TM_REQUIRES(shard.lock) {
    return shard.buckets[(hash >> 8) & (shard.buckets.size() - 1)];
  }
  uint64_t shard_limit() const;

  const uint64_t capacity_;
  std::atomic<int64_t> reserved_ = 0;
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace tidemark
