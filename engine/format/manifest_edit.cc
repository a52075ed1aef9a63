#include "engine/format/manifest_edit.h"

#include "engine/base/coding.h"
#include "engine/format/wal_payload.h"

namespace tidemark {
namespace {

// Stored; do not change. Each field is its tag, then its value.
enum Tag : uint64_t {
  kSnapshot = 1,
  kEpoch = 2,
  kNextFileNumber = 3,
  kOldestWal = 4,
  kFlushedStamp = 5,
  kFlushedTimestamp = 6,
  kHorizon = 7,
  kRetentionClock = 8,
  kAddedSegment = 9,
  kRemovedSegment = 10,
  kAddedChanges = 11,
  kRemovedChanges = 12,
  kNewestWal = 13,
};

}  // namespace

ManifestEdit ingest_edit(const WalIngest& ingest) {
  ManifestEdit edit;
  uint64_t run = 0;
  for (const SegmentMeta& meta : ingest.segments) {
    if (meta.kind == SegmentKind::kHistory && run == 0) run = meta.number;
    edit.added_segments.push_back({meta.kind == SegmentKind::kHistory ? run : 0, meta});
  }
  edit.added_changes = ingest.changes;
  edit.horizon = ingest.horizon;
  edit.flushed_stamp = ingest.last_stamp;
  edit.flushed_timestamp_ms = ingest.timestamp_ms;
  return edit;
}

std::string encode_manifest_edit(const ManifestEdit& edit) {
  std::string out;
  if (edit.snapshot) put_varint(out, kSnapshot);
  if (edit.epoch) put_varint(out, kEpoch), put_varint(out, *edit.epoch);
  if (edit.next_file_number) put_varint(out, kNextFileNumber), put_varint(out, *edit.next_file_number);
  if (edit.oldest_wal) put_varint(out, kOldestWal), put_varint(out, *edit.oldest_wal);
  if (edit.newest_wal) put_varint(out, kNewestWal), put_varint(out, *edit.newest_wal);
  if (edit.flushed_stamp) put_varint(out, kFlushedStamp), put_stamp(out, *edit.flushed_stamp);
  if (edit.flushed_timestamp_ms)
    put_varint(out, kFlushedTimestamp), put_le64(out, static_cast<uint64_t>(*edit.flushed_timestamp_ms));
  if (edit.horizon) put_varint(out, kHorizon), put_stamp(out, *edit.horizon);
  if (edit.retention_clock_ms)
    put_varint(out, kRetentionClock), put_le64(out, static_cast<uint64_t>(*edit.retention_clock_ms));
  for (const PlacedSegment& segment : edit.added_segments) {
    put_varint(out, kAddedSegment);
    put_varint(out, segment.place);
    put_segment_meta(out, segment.meta);
  }
  for (uint64_t number : edit.removed_segments) put_varint(out, kRemovedSegment), put_varint(out, number);
  for (const ChangeFileMeta& meta : edit.added_changes)
    put_varint(out, kAddedChanges), put_change_file_meta(out, meta);
  for (uint64_t number : edit.removed_changes) put_varint(out, kRemovedChanges), put_varint(out, number);
  return out;
}

Result<ManifestEdit> decode_manifest_edit(std::string_view bytes) {
  ByteReader in(bytes);
  ManifestEdit edit;
  while (!in.at_end()) {
    const uint64_t tag = in.varint();
    switch (tag) {
      case kSnapshot:
        edit.snapshot = true;
        break;
      case kEpoch:
        edit.epoch = in.varint();
        break;
      case kNextFileNumber:
        edit.next_file_number = in.varint();
        break;
      case kOldestWal:
        edit.oldest_wal = in.varint();
        break;
      case kNewestWal:
        edit.newest_wal = in.varint();
        break;
      case kFlushedStamp:
        edit.flushed_stamp = read_stamp(in);
        break;
      case kFlushedTimestamp:
        edit.flushed_timestamp_ms = static_cast<int64_t>(in.le64());
        break;
      case kHorizon:
        edit.horizon = read_stamp(in);
        break;
      case kRetentionClock:
        edit.retention_clock_ms = static_cast<int64_t>(in.le64());
        break;
      case kAddedSegment: {
        PlacedSegment segment;
        segment.place = in.varint();
        segment.meta = read_segment_meta(in);
        edit.added_segments.push_back(std::move(segment));
        break;
      }
      case kRemovedSegment:
        edit.removed_segments.push_back(in.varint());
        break;
      case kAddedChanges:
        edit.added_changes.push_back(read_change_file_meta(in));
        break;
      case kRemovedChanges:
        edit.removed_changes.push_back(in.varint());
        break;
      default:
        if (!in.ok()) break;
        return fail(ErrorCode::kNewerFormat,
                    "a manifest record has the unknown field " + std::to_string(tag));
    }
    if (!in.ok()) return fail(ErrorCode::kCorruption, "a manifest record with a good checksum is malformed");
  }
  return edit;
}

}  // namespace tidemark
