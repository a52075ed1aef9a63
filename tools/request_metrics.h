// How many requests were answered, how, and how fast: what the network threads count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/histogram.h"

namespace tidemark::tools {

// What a client asked for, by the last part of the path. kOther: none of KV Connect's calls.
enum class CallKind : uint8_t { kMetadata, kSnapshotRead, kAtomicWrite, kWatch, kOther };
inline constexpr size_t kCallKinds = 5;

CallKind call_kind(std::string_view method, std::string_view path);
// As metrics name it: "snapshot_read".
std::string_view to_string(CallKind kind);

// Any thread; counting takes no lock and, with threads as few as there are cores, shares no cache line.
class RequestMetrics {
 public:
  struct Call {
    std::array<uint64_t, 6> answers{};  // by class of the status: [2] is 2xx
    HistogramCounts duration_us;        // from the whole request to its answer
  };

  RequestMetrics() : shards_(std::make_unique<std::array<Shard, kShards>>()) {}

  // `status`: 100 to 599.
  void count(CallKind kind, int status, int64_t duration_us) {
    CallCounters& call = own_shard().calls[static_cast<size_t>(kind)];
    call.answers[static_cast<size_t>(status / 100)].fetch_add(1, std::memory_order_relaxed);
    call.duration_us.add(duration_us > 0 ? static_cast<uint64_t>(duration_us) : 0);
  }
  Call read(CallKind kind) const;

 private:
  static constexpr size_t kShards = 16;
  struct CallCounters {
    std::array<std::atomic<uint64_t>, 6> answers{};
    Histogram duration_us;
  };
  struct alignas(64) Shard {
    std::array<CallCounters, kCallKinds> calls;
  };

  Shard& own_shard();

  std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace tidemark::tools
