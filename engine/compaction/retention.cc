#include "engine/compaction/retention.h"

#include <algorithm>
#include <vector>

#include "engine/changes/change_file.h"
#include "engine/compaction/picker.h"

namespace tidemark {
Result<Versionstamp> retention_target(VersionSet& versions, const ManifestState& state,
                                      const Retention& retention, int64_t now_ms) {
  switch (retention.kind) {
    case Retention::Kind::kForever:
      return Versionstamp::min();
    case Retention::Kind::kNone:
      return state.flushed_stamp;
    case Retention::Kind::kDuration:
      break;
  }
  const int64_t reaches_to_ms = now_ms - retention.duration_ms;
  if (state.flushed_timestamp_ms <= reaches_to_ms) return state.flushed_stamp;
  const ChangeFileMeta* holder = nullptr;
  for (const auto& [number, meta] : state.changes)
    if (meta.first_timestamp_ms <= reaches_to_ms &&
        (holder == nullptr || meta.first_stamp > holder->first_stamp))
      holder = &meta;
  if (holder == nullptr) return Versionstamp::min();
  if (holder->last_timestamp_ms <= reaches_to_ms) return holder->last_stamp;
  TM_ASSIGN(
      const auto reader,
      ChangeFileReader::open(versions.fs(), versions.path(FileType::kChanges, holder->number), *holder));
  TM_ASSIGN(const auto found, reader->floor(Versionstamp::max(), reaches_to_ms));
  return found ? found->stamp : Versionstamp::min();
}

std::optional<Versionstamp> ceiling_target(const Version& version, uint64_t max_bytes) {
  const uint64_t bytes = version.history_bytes();
  if (bytes <= max_bytes) return std::nullopt;
  const auto dropped = [&](Versionstamp horizon) {
    uint64_t sum = 0;
    for (const HistoryRun& run : version.history)
      for (const SegmentRef& s : run.segments) sum += droppable_bytes(s->meta(), horizon);
    return sum;
  };
  uint64_t low = 0, high = 0;
  for (const HistoryRun& run : version.history) high = std::max(high, run.max_superseded.number);
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (bytes - dropped({middle, UINT16_MAX}) <= max_bytes)
      high = middle;
    else
      low = middle + 1;
  }
  return Versionstamp{low, UINT16_MAX};
}

}  // namespace tidemark
