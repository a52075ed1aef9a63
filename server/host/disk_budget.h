// How --max-disk-bytes is kept: history goes first, then writes are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tidemark::host {

// Of one database, in bytes on disk.
struct DiskUse {
  uint64_t history_bytes = 0;  // what trimming could give back
  uint64_t other_bytes = 0;    // live segments, log, change files
};

struct DiskPlan {
  // The ceiling that each database's history gets, in the order of the uses; nothing: none but its own.
  std::vector<std::optional<uint64_t>> history_ceilings;
  bool trims = false;  // some have a ceiling
  bool full = false;   // what cannot be trimmed exceeds the limit: refuse writes
};

// Pure. All histories are cut by the same share. What was full stays so until a fiftieth of the limit is
// free, lest writes be taken and refused by turns.
DiskPlan plan_disk(std::span<const DiskUse> uses, uint64_t max_bytes, bool was_full);

}  // namespace tidemark::host
