#include "engine/memtable/arena.h"

#include <algorithm>

// Chunks grow by doubling from a page to 1 MiB: thousands of idle databases hold a page each.

namespace tidemark {

constexpr size_t kLargestChunkBytes = size_t{1} << 20;

char* Arena::allocate_slow(size_t size) {
  const bool own_chunk = size > chunk_bytes_ / 4;
  const size_t chunk = own_chunk ? size : chunk_bytes_;
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk));
  bytes_.store(bytes() + chunk, std::memory_order_relaxed);
  char* p = chunks_.back().get();
  if (own_chunk) return p;
  next_ = p + size;
  left_ = chunk - size;
  chunk_bytes_ = std::min(chunk_bytes_ * 2, kLargestChunkBytes);
  return p;
}

}  // namespace tidemark
