// Memory that is given out piece by piece and freed as a whole.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace tidemark {

// One thread allocates; bytes() may be asked by any.
class Arena {
 public:
  // Aligned to 8 bytes. Lives as long as the arena.
  char* allocate(size_t size) {
    size = (size + 7) & ~size_t{7};
    if (size > left_) [[unlikely]]
      return allocate_slow(size);
    char* p = next_;
    next_ += size;
    left_ -= size;
    return p;
  }
  // Memory held, used or not.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  char* allocate_slow(size_t size);

  char* next_ = nullptr;
  size_t left_ = 0;
  size_t chunk_bytes_ = 4096;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::atomic<size_t> bytes_ = 0;
};

}  // namespace tidemark
