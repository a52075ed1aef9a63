#include "server/host/disk_budget.h"

namespace tidemark::host {
namespace {

// History is cut to this share of the room that there is for it, so that it need not be cut again at once.
constexpr double kKeptShare = 0.9;

}  // namespace

DiskPlan plan_disk(std::span<const DiskUse> uses, uint64_t max_bytes, bool was_full) {
  uint64_t history = 0;
  uint64_t other = 0;
  for (const DiskUse& use : uses) {
    history += use.history_bytes;
    other += use.other_bytes;
  }
  DiskPlan plan;
  plan.history_ceilings.resize(uses.size());
  plan.full = other > max_bytes - (was_full ? max_bytes / 50 : 0);
  const uint64_t room = max_bytes > other ? max_bytes - other : 0;
  if (history <= room) return plan;
  plan.trims = true;
  const double share = kKeptShare * static_cast<double>(room) / static_cast<double>(history);
  for (size_t i = 0; i < uses.size(); ++i)
    plan.history_ceilings[i] = static_cast<uint64_t>(share * static_cast<double>(uses[i].history_bytes));
  return plan;
}

}  // namespace tidemark::host
