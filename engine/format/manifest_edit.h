// What a manifest record says: a change of the set of files and of what is known of the database.
// Byte by byte: docs/formats/manifest.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/change_record.h"
#include "engine/format/segment_meta.h"

namespace tidemark {

// Where a segment stands. Live: level 0 and deeper. History: the number of its run. With a ceiling, it was
// taken over from the database that this one is a fork of, whatever its kind, and lies beneath all others:
// only its versions up to there count, and `place` is the number of its run.
struct PlacedSegment {
  uint64_t place = 0;
  SegmentMeta meta;
  std::optional<Versionstamp> ceiling = {};
  bool operator==(const PlacedSegment&) const = default;
};

// Unset members leave what was.
struct ManifestEdit {
  bool snapshot = false;  // the first record of a manifest: everything before it is void
  std::optional<uint64_t> epoch;
  std::optional<uint64_t> next_file_number;   // above every number used so far
  std::optional<uint64_t> oldest_wal;         // WAL files below are no longer needed
  std::optional<uint64_t> newest_wal;         // WAL files up to here exist, with a durable header
  std::optional<Versionstamp> flushed_stamp;  // commits up to here are in segments
  std::optional<int64_t> flushed_timestamp_ms;
  std::optional<Versionstamp> horizon;
  std::optional<int64_t> retention_clock_ms;  // how far the clock that moves the horizon has come
  std::vector<PlacedSegment> added_segments;
  std::vector<uint64_t> removed_segments;  // numbers
  std::vector<ChangeFileMeta> added_changes;
  std::vector<uint64_t> removed_changes;

  bool operator==(const ManifestEdit&) const = default;
};

// What publishing ingested segments means for the manifest: live ones to level 0, history ones to a run of
// their own. Everything up to their last stamp is in segments afterwards.
struct WalIngest;
ManifestEdit ingest_edit(const WalIngest& ingest);

std::string encode_manifest_edit(const ManifestEdit& edit);
// kCorruption (no file in the message) if malformed; kNewerFormat for a field this program does not know.
Result<ManifestEdit> decode_manifest_edit(std::string_view bytes);

}  // namespace tidemark
