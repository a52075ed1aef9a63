#include "engine/mvcc/point_read.h"

#include "engine/format/filter.h"
#include "engine/mvcc/visibility.h"

// Memtables, level 0 and the deeper levels are each newer than what comes after, key by key: the first
// version at or below the read's versionstamp is the newest of them. Versions that have left this order stand
// in history, where all runs that may hold something visible are asked.

namespace tidemark {
namespace {

using Found = SegmentReader::Found;

Result<std::optional<Found>> read_segment(const SegmentFile& segment, std::string_view key, uint64_t hash,
                                          Versionstamp at, const SegmentReadOptions& options) {
  TM_ASSIGN(const auto reader, segment.reader(options.memory_only));
  return reader->get(key, hash, at, options);
}

Result<std::optional<Found>> read_live(const Version& version, std::string_view key, uint64_t hash,
                                       Versionstamp at, const SegmentReadOptions& options) {
  for (const SegmentRef& segment : version.live[0]) {
    const SegmentMeta& meta = segment->meta();
    if (key < meta.smallest_key || key > meta.largest_key || meta.min_stamp > at) continue;
    auto found = read_segment(*segment, key, hash, at, options);
    if (!found || *found) return found;
  }
  for (size_t level = 1; level < kLevels; ++level) {
    const SegmentFile* segment = covering(version.live[level], key);
    if (segment == nullptr || segment->meta().min_stamp > at) continue;
    auto found = read_segment(*segment, key, hash, at, options);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<PointRead>> read_point(const ReadState& state, std::string_view key, Versionstamp at,
                                            const SegmentReadOptions& options) {
  const auto in_memory = [&](const Memtable& table) { return table.get(key, at); };
  std::optional<Memtable::Found> fresh = in_memory(*state.active);
  for (size_t i = 0; !fresh && i < state.frozen.size(); ++i) fresh = in_memory(*state.frozen[i]);
  if (fresh) {
    if (fresh->tombstone) return std::nullopt;
    return PointRead{fresh->value, fresh->stamp, nullptr};
  }

  const Version& version = *state.version;
  const uint64_t hash = filter_hash(key);
  TM_ASSIGN(std::optional<Found> best, read_live(version, key, hash, at, options));
  for (const HistoryRun& run : version.history) {
    if (run.max_superseded <= at || run.min_stamp > at) continue;
    const SegmentFile* segment = covering(run.segments, key);
    if (segment == nullptr || !visible(segment->meta().min_stamp, segment->meta().max_superseded, at))
      continue;
    TM_ASSIGN(std::optional<Found> found, read_segment(*segment, key, hash, at, options));
    if (found && visible(found->stamp, found->superseded, at) && (!best || found->stamp > best->stamp))
      best = std::move(found);
  }
  for (const SharedRun& run : version.shared) {
    // What is this database's own is newer than all that it shares.
    if (best && best->stamp > run.ceiling) continue;
    const SegmentFile* segment = covering(run.segments, key);
    if (segment == nullptr) continue;
    const SegmentMeta& meta = segment->meta();
    const Versionstamp then = run.reads_at(at);
    if (meta.min_stamp > then || (run.history && meta.max_superseded <= then)) continue;
    TM_ASSIGN(std::optional<Found> found, read_segment(*segment, key, hash, then, options));
    if (found && visible(found->stamp, found->superseded, then) && (!best || found->stamp > best->stamp))
      best = std::move(found);
  }
  if (!best || best->tombstone) return std::nullopt;
  return PointRead{best->value, best->stamp, std::move(best->owner)};
}

bool live_may_contain(const Version& version, size_t from_level, std::string_view key, uint64_t hash) {
  const auto may = [&](const SegmentFile& segment) {
    const auto reader = segment.reader(false);
    return !reader || (*reader)->may_contain(hash);
  };
  for (size_t level = from_level; level < kLevels; ++level) {
    if (level == 0) {
      for (const SegmentRef& segment : version.live[0])
        if (segment->meta().smallest_key <= key && key <= segment->meta().largest_key && may(*segment))
          return true;
    } else if (const SegmentFile* segment = covering(version.live[level], key);
               segment != nullptr && may(*segment)) {
      return true;
    }
  }
  for (const SharedRun& run : version.shared)
    if (const SegmentFile* segment = covering(run.segments, key); segment != nullptr && may(*segment))
      return true;
  return false;
}

}  // namespace tidemark
