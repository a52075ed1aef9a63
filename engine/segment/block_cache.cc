#include "engine/segment/block_cache.h"

#include <algorithm>

// A shard is a chained hash table whose slots are also the clock: a hit sets one bit under the lock and
// copies one pointer; nothing is relinked.

namespace tidemark {

BlockCache::BlockCache(uint64_t capacity_bytes) : capacity_(capacity_bytes) {}

uint64_t BlockCache::hash(uint64_t file, uint64_t offset) {
  uint64_t h = (file * 0x9e3779b97f4a7c15u) ^ (offset * 0xc2b2ae3d27d4eb4fu);
  h ^= h >> 29;
  h *= 0xbf58476d1ce4e5b9u;
  return h ^ (h >> 32);
}

uint64_t BlockCache::shard_limit() const {
  const uint64_t taken = std::min(reserved(), capacity_ - capacity_ / 4);
  return (capacity_ - taken) / kShards;
}

uint32_t BlockCache::lookup(Shard& shard, uint64_t hash, uint64_t file, uint64_t offset) {
  uint32_t i = bucket(shard, hash);
  while (i != kNone && (shard.slots[i].file != file || shard.slots[i].offset != offset))
    i = shard.slots[i].next;
  return i;
}

std::shared_ptr<const Block> BlockCache::find(uint64_t file, uint64_t offset) {
  const uint64_t h = hash(file, offset);
  Shard& shard = shards_[h % kShards];
  SpinLockGuard guard(shard.lock);
  const uint32_t i = lookup(shard, h, file, offset);
  if (i == kNone) {
    ++shard.lookups.misses;
    return nullptr;
  }
  ++shard.lookups.hits;
  shard.slots[i].referenced = true;
  return shard.slots[i].block;
}

void BlockCache::insert(uint64_t file, uint64_t offset, std::shared_ptr<const Block> block) {
  const uint64_t h = hash(file, offset);
  const uint64_t size = charge(*block);
  const uint64_t limit = shard_limit();
  if (size > limit) return;  // would push everything else out
  Shard& shard = shards_[h % kShards];
  SpinLockGuard guard(shard.lock);
  if (lookup(shard, h, file, offset) != kNone) return;
  evict(shard, limit - size);
  uint32_t i = shard.free;
  if (i != kNone) {
    shard.free = shard.slots[i].next;
  } else {
    i = static_cast<uint32_t>(shard.slots.size());
    shard.slots.emplace_back();
  }
  if (++shard.used > shard.buckets.size()) grow(shard);
  uint32_t& chain = bucket(shard, h);
  shard.slots[i] = {file, offset, std::move(block), chain, true};
  chain = i;
  shard.bytes += size;
}

void BlockCache::evict(Shard& shard, uint64_t limit) {
  while (shard.bytes > limit) {
    const uint32_t i = shard.hand;
    shard.hand = (shard.hand + 1) % static_cast<uint32_t>(shard.slots.size());
    Slot& slot = shard.slots[i];
    if (slot.block == nullptr) continue;
    if (slot.referenced) {
      slot.referenced = false;
      continue;
    }
    uint32_t* link = &bucket(shard, hash(slot.file, slot.offset));
    while (*link != i) link = &shard.slots[*link].next;
    *link = slot.next;
    shard.bytes -= charge(*slot.block);
    slot.block.reset();
    slot.next = shard.free;
    shard.free = i;
    --shard.used;
  }
}

void BlockCache::grow(Shard& shard) {
  shard.buckets.assign(shard.buckets.size() * 2, kNone);
  for (uint32_t i = 0; i < shard.slots.size(); ++i) {
    Slot& slot = shard.slots[i];
    if (slot.block == nullptr) continue;
    uint32_t& chain = bucket(shard, hash(slot.file, slot.offset));
    slot.next = chain;
    chain = i;
  }
}

uint64_t BlockCache::bytes() const {
  uint64_t sum = 0;
  for (Shard& shard : shards_) {
    SpinLockGuard guard(shard.lock);
    sum += shard.bytes;
  }
  return sum;
}

BlockCache::Lookups BlockCache::lookups() const {
  Lookups sum;
  for (Shard& shard : shards_) {
    SpinLockGuard guard(shard.lock);
    sum.hits += shard.lookups.hits;
    sum.misses += shard.lookups.misses;
  }
  return sum;
}

}  // namespace tidemark
