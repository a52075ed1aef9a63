// Counts of values by powers of two: cheap enough to be kept on every path, and exact in number and sum.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tidemark {

// counts[k]: values above 2^(k-1), at most 2^k (0 and 1 in counts[0]); the last takes all above, too.
struct HistogramCounts {
  static constexpr size_t kBuckets = 40;

  std::array<uint64_t, kBuckets> counts{};
  uint64_t sum = 0;

  uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t one : counts) all += one;
    return all;
  }
  HistogramCounts& operator+=(const HistogramCounts& other) {
    for (size_t k = 0; k < kBuckets; ++k) counts[k] += other.counts[k];
    sum += other.sum;
    return *this;
  }
};

// Any thread. Without order between threads: a reading may hold a value's count and not yet its sum.
class Histogram {
 public:
  void add(uint64_t value) {
    const size_t k = value <= 1 ? 0 : static_cast<size_t>(std::bit_width(value - 1));
    counts_[std::min(k, HistogramCounts::kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  HistogramCounts read() const {
    HistogramCounts out;
    for (size_t k = 0; k < out.counts.size(); ++k) out.counts[k] = counts_[k].load(std::memory_order_relaxed);
    out.sum = sum_.load(std::memory_order_relaxed);
    return out;
  }

 private:
  std::array<std::atomic<uint64_t>, HistogramCounts::kBuckets> counts_{};
  std::atomic<uint64_t> sum_ = 0;
};

}  // namespace tidemark
