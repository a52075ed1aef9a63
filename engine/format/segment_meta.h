// What is known of a segment without opening it. Stored in manifest edits and in WAL ingest records.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/coding.h"
#include "engine/base/versionstamp.h"

namespace tidemark {

enum class SegmentKind : uint8_t { kLive = 0, kHistory = 1 };  // stored; do not change

struct SegmentMeta {
  uint64_t number = 0;  // names the file within its database
  SegmentKind kind = SegmentKind::kLive;
  uint64_t file_bytes = 0;
  uint64_t entries = 0;
  uint64_t tombstones = 0;
  std::string smallest_key;  // both inclusive
  std::string largest_key;
  Versionstamp min_stamp;  // both inclusive, over all entries
  Versionstamp max_stamp;
  // History only: the smallest and largest of the entries' upper bounds on what superseded them.
  Versionstamp min_superseded;
  Versionstamp max_superseded;

  bool operator==(const SegmentMeta&) const = default;
};

void put_stamp(std::string& out, Versionstamp stamp);
Versionstamp read_stamp(ByteReader& in);
void put_segment_meta(std::string& out, const SegmentMeta& meta);
// On bad bytes `in.ok()` is false afterwards.
SegmentMeta read_segment_meta(ByteReader& in);

}  // namespace tidemark
