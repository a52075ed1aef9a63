#include "engine/compaction/ingest_writer.h"

namespace tidemark {

// What lies beneath is not known while the files are prepared: every tombstone stays.
IngestWriter::IngestWriter(VersionSet& versions, const DatabaseOptions& options)
    : versions_(versions),
      live_(versions, options, SegmentKind::kLive, options.segment_bytes),
      history_(versions, options, SegmentKind::kHistory, options.segment_bytes),
      splitter_(live_, history_, Versionstamp::min(), [](std::string_view) { return false; }) {}

Status IngestWriter::add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value) {
  if (key.empty() || key.size() > UINT16_MAX)
    return fail(ErrorCode::kInvalidArgument, "a key has " + std::to_string(key.size()) + " bytes");
  if (any_ && compare_entries(last_key_, last_stamp_, key, stamp) >= 0)
    return fail(ErrorCode::kInvalidArgument, "entries to ingest are out of order");
  any_ = true;
  last_key_ = key;
  last_stamp_ = stamp;
  return splitter_.add(key, stamp, !value.has_value(), value.value_or(std::string_view()));
}

Result<std::vector<SegmentMeta>> IngestWriter::finish() {
  TM_TRY(live_.finish());
  TM_TRY(history_.finish());
  std::vector<SegmentMeta> all = live_.files();
  all.insert(all.end(), history_.files().begin(), history_.files().end());
  if (all.empty()) return fail(ErrorCode::kInvalidArgument, "there is nothing to ingest");
  TM_TRY(versions_.fs().sync_dir(versions_.dir()));
  return all;
}

void IngestWriter::release() {
  live_.release();
  history_.release();
}

}  // namespace tidemark
