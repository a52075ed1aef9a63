// Memory for the small objects of one loop, which come and go with every request in bursts: more at a time
// than malloc's own caches keep. Freed blocks are kept by size and given out again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace tidemark::http {

// One thread at a time. Keeps at most kKeptBytes of free blocks. Everything must be freed before it goes.
class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  ~BlockPool() {
    for (Block* block : free_) {
      while (block != nullptr) {
        Block* const next = block->next;
        std::free(block);
        block = next;
      }
    }
  }

  // Null if there is no memory; aligned as by malloc.
  void* allocate(size_t size) {
    const size_t kind = (size + kStep - 1) / kStep;
    if (kind >= kKinds) return start(static_cast<Block*>(std::malloc(size + sizeof(Block))), kKinds, size);
    Block*& head = free_[kind];
    if (head == nullptr)
      return start(static_cast<Block*>(std::malloc(kind * kStep + sizeof(Block))), kind, kind * kStep);
    Block* const block = head;
    head = block->next;
    kept_bytes_ -= kind * kStep;
    block->kind = kind;
    return block + 1;
  }

  void release(void* memory) {
    if (memory == nullptr) return;
    Block* const block = static_cast<Block*>(memory) - 1;
    const size_t kind = block->kind;
    if (kind >= kKinds || kept_bytes_ >= kKeptBytes) return std::free(block);
    block->next = free_[kind];
    free_[kind] = block;
    kept_bytes_ += kind * kStep;
  }

  // How much fits into an allocated block, at least what was asked for.
  static size_t capacity(const void* memory) { return (static_cast<const Block*>(memory) - 1)->capacity; }

 private:
  static constexpr size_t kStep = 64;
  static constexpr size_t kKinds = 1 + 2048 / kStep;
  static constexpr size_t kKeptBytes = 4 << 20;

  struct alignas(16) Block {
    union {
      Block* next;  // while free
      size_t kind;  // while in use
    };
    size_t capacity;
  };
  static_assert(sizeof(Block) == 16);

  static void* start(Block* block, size_t kind, size_t capacity) {
    if (block == nullptr) return nullptr;
    block->kind = kind;
    block->capacity = capacity;
    return block + 1;
  }

  std::array<Block*, kKinds> free_{};
  size_t kept_bytes_ = 0;
};

}  // namespace tidemark::http
