#include "engine/compaction/picker.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace tidemark {
namespace {

using Kind = CompactionPlan::Kind;

// Runs whose sizes are within this factor count as alike.
constexpr uint64_t kAlikeFactor = 4;
// Runs below this size are alike whatever their sizes.
constexpr uint64_t kSmallRunBytes = uint64_t{1} << 20;
// Tombstones are worth a merge of their own when they are this share of a segment's entries.
constexpr uint64_t kTombstoneShareDivisor = 2;
constexpr uint64_t kWadingMin = 4096;
// A fork writes anew what it shares when its own live segments are this share of it.
constexpr uint64_t kOwnShareDivisor = 4;

// The deepest level that merges may write to. What is shared with another database will be written beneath
// it, beside such merges, and must find that place empty.
size_t deepest_level(const Version& version) {
  return version.shared.empty() ? kLevels - 1 : kLevels - 2;
}

CompactionPlan merge_down(const Version& version, size_t level, std::vector<SegmentRef> upper) {
  CompactionPlan plan;
  plan.level = level;
  std::string smallest, largest;
  bool disjoint = true;
  {
    std::vector<const SegmentMeta*> sorted;
    for (const SegmentRef& s : upper) sorted.push_back(&s->meta());
    std::sort(sorted.begin(), sorted.end(),
              [](const auto* a, const auto* b) { return a->smallest_key < b->smallest_key; });
    smallest = sorted.front()->smallest_key;
    for (size_t i = 0; i < sorted.size(); ++i) {
      largest = std::max(largest, sorted[i]->largest_key);
      if (i > 0) disjoint &= sorted[i - 1]->largest_key < sorted[i]->smallest_key;
    }
  }
  largest.push_back('\0');  // an exclusive end
  const SortedRun& below = version.live[level + 1];
  const RunRange range = overlapping(below, smallest, largest);
  plan.lower.assign(below.begin() + static_cast<ptrdiff_t>(range.begin),
                    below.begin() + static_cast<ptrdiff_t>(range.end));
  uint64_t tombstones = 0;
  for (const SegmentRef& s : upper) tombstones += s->meta().tombstones;
  plan.upper = std::move(upper);
  // With tombstones a merge is worth it even without overlap: they may have nothing left to hide.
  plan.kind = plan.lower.empty() && disjoint && tombstones == 0 ? Kind::kMoveLive : Kind::kMergeLive;
  return plan;
}

// The next segment of a level after the cursor, going around.
SegmentRef next_in_turn(const SortedRun& run, const std::string& cursor) {
  for (const SegmentRef& s : run)
    if (s->meta().smallest_key > cursor) return s;
  return run.front();
}

std::vector<HistoryRun> alike_runs(const Version& version, size_t trigger) {
  std::vector<HistoryRun> runs = version.history;
  std::sort(runs.begin(), runs.end(), [](const HistoryRun& a, const HistoryRun& b) {
    return run_bytes(a.segments) < run_bytes(b.segments);
  });
  for (size_t begin = 0; begin + trigger <= runs.size(); ++begin) {
    const uint64_t limit = std::max(kSmallRunBytes, kAlikeFactor * run_bytes(runs[begin].segments));
    size_t end = begin;
    while (end < runs.size() && run_bytes(runs[end].segments) <= limit) ++end;
    if (end - begin >= trigger)
      return {runs.begin() + static_cast<ptrdiff_t>(begin), runs.begin() + static_cast<ptrdiff_t>(end)};
  }
  return {};
}

// A segment whose tombstones cost readers, or are most of it, and the level it stands on.
std::optional<std::pair<size_t, SegmentRef>> wading_segment(const Version& version) {
  for (size_t level = 0; level < deepest_level(version); ++level) {
    for (const SegmentRef& s : version.live[level]) {
      const SegmentMeta& meta = s->meta();
      if (meta.tombstones == 0) continue;
      const bool dense = meta.tombstones * kTombstoneShareDivisor >= meta.entries && level > 0;
      const bool waded = s->skipped() > std::max(kWadingMin, meta.entries);
      if (dense || waded) return std::pair(level, s);
    }
  }
  return std::nullopt;
}

}  // namespace

double level_score(const Version& version, const DatabaseOptions& options, size_t level) {
  if (level == 0)
    return static_cast<double>(version.live[0].size()) /
           static_cast<double>(options.level0_compaction_trigger);
  if (level >= deepest_level(version)) return 0;
  const double target =
      static_cast<double>(options.level1_bytes) *
      std::pow(static_cast<double>(options.level_multiplier), static_cast<double>(level - 1));
  return static_cast<double>(version.live_bytes(level)) / target;
}

uint64_t droppable_bytes(const SegmentMeta& meta, Versionstamp horizon) {
  if (horizon < meta.min_superseded) return 0;
  if (horizon >= meta.max_superseded) return meta.file_bytes;
  const double span = static_cast<double>(meta.max_superseded.number - meta.min_superseded.number) + 1;
  const double passed = static_cast<double>(horizon.number - meta.min_superseded.number);
  return static_cast<uint64_t>(static_cast<double>(meta.file_bytes) * passed / span);
}

CompactionPlan pick_live(const Version& version, const DatabaseOptions& options,
                         const CompactionCursors& cursors) {
  size_t fullest = 0;
  for (size_t level = 1; level < kLevels; ++level)
    if (level_score(version, options, level) > level_score(version, options, fullest)) fullest = level;
  if (level_score(version, options, fullest) >= 1) {
    if (fullest == 0) return merge_down(version, 0, version.live[0]);
    return merge_down(version, fullest, {next_in_turn(version.live[fullest], cursors[fullest])});
  }
  if (const auto found = wading_segment(version))
    return merge_down(version, found->first, found->first == 0 ? version.live[0] : SortedRun{found->second});
  return {};
}

CompactionPlan pick_history(const Version& version, const DatabaseOptions& options, Versionstamp horizon) {
  CompactionPlan plan;
  for (const HistoryRun& run : version.history)
    for (const SegmentRef& s : run.segments)
      if (s->meta().max_superseded <= horizon) plan.upper.push_back(s);
  if (!plan.upper.empty()) {
    plan.kind = Kind::kDropHistory;
    return plan;
  }
  plan.runs = alike_runs(version, static_cast<size_t>(options.history_run_trigger));
  for (const HistoryRun& run : version.history) {
    if (!plan.runs.empty()) break;
    uint64_t dead = 0;
    for (const SegmentRef& s : run.segments) dead += droppable_bytes(s->meta(), horizon);
    if (dead * 2 >= run_bytes(run.segments)) plan.runs = {run};
  }
  if (!plan.runs.empty()) plan.kind = Kind::kMergeHistory;
  return plan;
}

CompactionPlan pick_live_fully(const Version& version) {
  size_t levels_used = 0, deepest = 0;
  for (size_t level = 0; level < kLevels; ++level) {
    if (version.live[level].empty()) continue;
    ++levels_used;
    deepest = level;
  }
  if (levels_used == 0 || (levels_used == 1 && deepest > 0)) return {};
  // Level by level, the upper ones first: what reaches the deepest has nothing beneath it.
  size_t level = 0;
  while (version.live[level].empty()) ++level;
  return merge_down(version, level, version.live[level]);
}

CompactionPlan pick_shared(const Version& version, Versionstamp horizon, bool full) {
  CompactionPlan plan;
  // What is written goes beneath everything.
  if (version.shared.empty() || !version.live[kLevels - 1].empty()) return plan;
  uint64_t own = 0;
  for (size_t level = 0; level < kLevels; ++level) own += version.live_bytes(level);
  bool passed = true;
  for (const SharedRun& run : version.shared) passed &= run.ceiling <= horizon;
  if (!full && !passed && own * kOwnShareDivisor < version.shared_bytes()) return plan;
  plan.kind = Kind::kOwnShared;
  for (const SharedRun& run : version.shared)
    plan.upper.insert(plan.upper.end(), run.segments.begin(), run.segments.end());
  return plan;
}

CompactionPlan pick_history_fully(const Version& version) {
  CompactionPlan plan;
  if (version.history.size() < 2) return plan;
  plan.kind = Kind::kMergeHistory;
  plan.runs = version.history;
  return plan;
}

}  // namespace tidemark
