// Bytes counted against one limit by several loops, without a shared write per request.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace tidemark::http {

// The sum over all loops. Any thread.
class SharedBudget {
 public:
  explicit SharedBudget(uint64_t limit)
      : limit_(static_cast<int64_t>(limit)), chunk_(std::clamp<int64_t>(limit_ / 64, 1, 64 << 10)) {}

 private:
  friend class LoopBudget;
  const int64_t limit_;
  const int64_t chunk_;  // a loop keeps back at most this much
  alignas(64) std::atomic<int64_t> total_{0};
};

// One loop's part. Only on that loop's thread, but for held(). The view of the whole is off by what the other
// loops keep back.
class LoopBudget {
 public:
  explicit LoopBudget(SharedBudget& shared) : shared_(shared) {}
  LoopBudget(const LoopBudget&) = delete;

  void add(int64_t bytes) {
    const int64_t held = held_.load(std::memory_order_relaxed) + bytes;
    held_.store(held, std::memory_order_relaxed);
    if (std::abs(held - published_) >= shared_.chunk_) publish();
  }
  bool exceeded() const { return total() >= shared_.limit_; }
  bool fits(int64_t bytes) const { return total() + bytes <= shared_.limit_; }
  // Shares what was kept back.
  void publish() {
    const int64_t held = held_.load(std::memory_order_relaxed);
    const int64_t delta = held - published_;
    if (delta == 0) return;
    published_ = held;
    const int64_t before = shared_.total_.fetch_add(delta, std::memory_order_relaxed);
    if (before >= shared_.limit_ && before + delta < shared_.limit_) opened_ = true;
  }
  // Whether this loop's releases have brought the whole below the limit since the last call: the other loops
  // should look again.
  bool take_opened() { return std::exchange(opened_, false); }
  // Any thread.
  int64_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  int64_t total() const {
    return shared_.total_.load(std::memory_order_relaxed) + held_.load(std::memory_order_relaxed) -
           published_;
  }

  SharedBudget& shared_;
  std::atomic<int64_t> held_{0};  // atomic only for held()
  int64_t published_ = 0;
  bool opened_ = false;
};

}  // namespace tidemark::http
