// The choice of what to merge next. Pure: looks at a version and settings, does nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/versionstamp.h"
#include "engine/mvcc/version.h"
#include "engine/options.h"

namespace tidemark {

struct CompactionPlan {
  enum class Kind : uint8_t {
    kNone,
    kDropHistory,   // remove `upper`, history segments that nobody can read
    kTrimChanges,   // remove change files that lie wholly below the horizon
    kMergeHistory,  // merge the runs `runs` into one
    kMergeLive,     // merge `upper` of `level` with `lower` of `level` + 1
    kMoveLive,      // `upper` of `level` goes to `level` + 1 as it is
  } kind = Kind::kNone;
  size_t level = 0;
  std::vector<SegmentRef> upper;
  std::vector<SegmentRef> lower;
  std::vector<HistoryRun> runs;
};

// Where merging of each level left off, so that it goes around the keys.
using CompactionCursors = std::array<std::string, kLevels>;

// `horizon`: the durable one.
CompactionPlan pick_compaction(const Version& version, const DatabaseOptions& options, Versionstamp horizon,
                               const CompactionCursors& cursors);

// All live segments into one sorted run, all history into one run; kNone when it is so already.
CompactionPlan pick_full_compaction(const Version& version);

// How full a level is; 1 and above asks for a merge.
double level_score(const Version& version, const DatabaseOptions& options, size_t level);

// About how many bytes of a history segment the horizon has passed, taking bounds as evenly spread.
uint64_t droppable_bytes(const SegmentMeta& meta, Versionstamp horizon);

}  // namespace tidemark
