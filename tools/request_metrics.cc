#include "tools/request_metrics.h"

namespace tidemark::tools {
namespace {

constexpr std::array<std::string_view, kCallKinds> kNames = {"metadata", "snapshot_read", "atomic_write",
                                                             "watch", "other"};

}  // namespace

CallKind call_kind(std::string_view method, std::string_view path) {
  if (method != "POST") return CallKind::kOther;
  if (path.ends_with("/snapshot_read")) return CallKind::kSnapshotRead;
  if (path.ends_with("/atomic_write")) return CallKind::kAtomicWrite;
  if (path.ends_with("/watch")) return CallKind::kWatch;
  return CallKind::kMetadata;
}

std::string_view to_string(CallKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

RequestMetrics::Shard& RequestMetrics::own_shard() {
  // Threads take shards in turn, as they come.
  static std::atomic<size_t> next{0};
  thread_local const size_t own = next.fetch_add(1, std::memory_order_relaxed) % kShards;
  return (*shards_)[own];
}

RequestMetrics::Call RequestMetrics::read(CallKind kind) const {
  Call sum;
  for (const Shard& shard : *shards_) {
    const CallCounters& call = shard.calls[static_cast<size_t>(kind)];
    for (size_t i = 0; i < sum.answers.size(); ++i)
      sum.answers[i] += call.answers[i].load(std::memory_order_relaxed);
    sum.duration_us += call.duration_us.read();
  }
  return sum;
}

}  // namespace tidemark::tools
