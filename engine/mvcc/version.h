// The segments of a database at one moment, and with its memtables all that a read needs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/manifest/manifest.h"
#include "engine/memtable/memtable.h"
#include "engine/segment/segment_file.h"

namespace tidemark {

// Segments that do not overlap in keys, by key.
using SortedRun = std::vector<SegmentRef>;

// The segments of a sorted run that may hold keys in [start, end); an empty `end` means no upper bound.
struct RunRange {
  size_t begin;
  size_t end;
};
RunRange overlapping(const SortedRun& run, std::string_view start, std::string_view end);
// The one segment of a sorted run that may hold the key, or nullptr.
const SegmentFile* covering(const SortedRun& run, std::string_view key);
uint64_t run_bytes(const SortedRun& run);

struct HistoryRun {
  uint64_t id = 0;
  SortedRun segments;
  Versionstamp min_stamp = Versionstamp::max();
  Versionstamp max_superseded;
};

// Segments taken over from the database that this one is a fork of. They lie beneath all others; of their
// versions those up to the ceiling count, which a read sees as if it were one at the ceiling at most.
struct SharedRun {
  SortedRun segments;
  Versionstamp ceiling;
  bool history = false;  // of that database; else live
  Versionstamp reads_at(Versionstamp at) const { return std::min(at, ceiling); }
};

// Immutable.
struct Version {
  // Level 0: newest first, may overlap. Deeper levels: sorted runs, each older than the one above, key by
  // key.
  std::array<SortedRun, kLevels> live;
  std::vector<HistoryRun> history;  // in no order
  std::vector<SharedRun> shared;    // in no order; empty but for forks
  uint64_t live_bytes(size_t level) const { return run_bytes(live[level]); }
  uint64_t history_bytes() const;
  uint64_t shared_bytes() const;
};

// Immutable but for the active memtable, which one writer fills.
struct ReadState {
  std::shared_ptr<Memtable> active;
  std::vector<std::shared_ptr<Memtable>> frozen;  // newest first
  std::shared_ptr<const Version> version;
};

}  // namespace tidemark
