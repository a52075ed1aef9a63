// The newest committed versionstamp with its timestamp, read together without a lock.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/versionstamp.h"

namespace tidemark {

// One writer at a time, any number of readers (a sequence lock).
class Head {
 public:
  struct Value {
    Versionstamp stamp;
    int64_t timestamp_ms = 0;
  };

  void set(const Value& value) {
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    // Released, so that a reader that sees any of them sees the odd sequence too.
    number_.store(value.stamp.number, std::memory_order_release);
    tail_.store(value.stamp.tail, std::memory_order_release);
    timestamp_ms_.store(value.timestamp_ms, std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  Value get() const {
    while (true) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      Value value;
      value.stamp.number = number_.load(std::memory_order_acquire);
      value.stamp.tail = tail_.load(std::memory_order_acquire);
      value.timestamp_ms = timestamp_ms_.load(std::memory_order_acquire);
      if ((before & 1) == 0 && sequence_.load(std::memory_order_relaxed) == before) return value;
    }
  }

 private:
  std::atomic<uint64_t> sequence_ = 0;
  std::atomic<uint64_t> number_ = 0;
  std::atomic<uint16_t> tail_ = 0;
  std::atomic<int64_t> timestamp_ms_ = 0;
};

}  // namespace tidemark
