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
    kOwnShared,     // write `upper`, all that is shared with another database, anew: to the deepest level and
                    // to history
  } kind = Kind::kNone;
  size_t level = 0;
  std::vector<SegmentRef> upper;
  std::vector<SegmentRef> lower;
  std::vector<HistoryRun> runs;
};

// Where merging of each level left off, so that it goes around the keys.
using CompactionCursors = std::array<std::string, kLevels>;

// Of live segments; touches no history.
CompactionPlan pick_live(const Version& version, const DatabaseOptions& options,
                         const CompactionCursors& cursors);
// Of history; touches no live segments. `horizon`: versions superseded at or below it may be dropped.
CompactionPlan pick_history(const Version& version, const DatabaseOptions& options, Versionstamp horizon);

// The same with the aim of one sorted run of live segments, and of one run of history; kNone when it is so
// already.
CompactionPlan pick_live_fully(const Version& version);
CompactionPlan pick_history_fully(const Version& version);

// Of what is shared with another database: kOwnShared when it should be written anew, since that is asked for
// (`full`), or this database's own part has grown, or the horizon has left the other one's behind.
CompactionPlan pick_shared(const Version& version, Versionstamp horizon, bool full);

// How full a level is; 1 and above asks for a merge.
double level_score(const Version& version, const DatabaseOptions& options, size_t level);

// About how many bytes of a history segment the horizon has passed, taking bounds as evenly spread.
uint64_t droppable_bytes(const SegmentMeta& meta, Versionstamp horizon);

}  // namespace tidemark
