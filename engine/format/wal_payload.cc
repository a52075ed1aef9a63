#include "engine/format/wal_payload.h"

#include "engine/base/coding.h"

namespace tidemark {

void store_wal_commit(char* header, Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) {
  const auto raw = stamp.bytes();
  std::memcpy(header, raw.data(), raw.size());
  store_le64(header + 10, static_cast<uint64_t>(timestamp_ms));
  store_le32(header + 18, writes);
}

void put_wal_write(std::string& payload, WriteKind kind, std::string_view key, std::string_view value) {
  payload.push_back(static_cast<char>(kind));
  put_bytes(payload, key);
  if (kind == WriteKind::kPut) put_bytes(payload, value);
}

std::string encode_ingest(const WalIngest& ingest) {
  std::string out;
  out.push_back(static_cast<char>(WalRecordType::kIngest));
  put_stamp(out, ingest.last_stamp);
  put_le64(out, static_cast<uint64_t>(ingest.timestamp_ms));
  put_varint(out, ingest.segments.size());
  for (const SegmentMeta& meta : ingest.segments) put_segment_meta(out, meta);
  put_varint(out, ingest.changes.size());
  for (const ChangeFileMeta& meta : ingest.changes) put_change_file_meta(out, meta);
  out.push_back(ingest.horizon ? 1 : 0);
  if (ingest.horizon) put_stamp(out, *ingest.horizon);
  return out;
}

namespace {

Status malformed() {
  return fail(ErrorCode::kCorruption, "a WAL record with a good checksum is malformed");
}

Status visit_group(ByteReader& in, WalVisitor& visitor) {
  while (!in.at_end()) {
    const Versionstamp stamp = read_stamp(in);
    const int64_t timestamp_ms = static_cast<int64_t>(in.le64());
    const uint32_t writes = in.le32();
    if (!in.ok()) return malformed();
    TM_TRY(visitor.on_commit(stamp, timestamp_ms, writes));
    for (uint32_t i = 0; i < writes; ++i) {
      const uint8_t kind = in.u8();
      const std::string_view key = in.bytes();
      const std::string_view value = kind == 0 ? in.bytes() : std::string_view();
      if (!in.ok() || kind > 1 || key.empty() || key.size() > UINT16_MAX) return malformed();
      TM_TRY(visitor.on_write(static_cast<WriteKind>(kind), key, value));
    }
  }
  return {};
}

Status visit_ingest(ByteReader& in, WalVisitor& visitor) {
  WalIngest ingest;
  ingest.last_stamp = read_stamp(in);
  ingest.timestamp_ms = static_cast<int64_t>(in.le64());
  const uint64_t segments = in.varint();
  for (uint64_t i = 0; i < segments && in.ok(); ++i) ingest.segments.push_back(read_segment_meta(in));
  if (in.ok() && !in.at_end()) {  // older ones end here
    const uint64_t changes = in.varint();
    for (uint64_t i = 0; i < changes && in.ok(); ++i) ingest.changes.push_back(read_change_file_meta(in));
    const uint8_t has_horizon = in.u8();
    if (has_horizon == 1) ingest.horizon = read_stamp(in);
    if (has_horizon > 1) return malformed();
  }
  if (!in.ok() || !in.at_end()) return malformed();
  return visitor.on_ingest(ingest);
}

}  // namespace

Status visit_wal_payload(std::string_view payload, WalVisitor& visitor) {
  ByteReader in(payload);
  switch (static_cast<WalRecordType>(in.u8())) {
    case WalRecordType::kGroup:
      return visit_group(in, visitor);
    case WalRecordType::kIngest:
      return visit_ingest(in, visitor);
    case WalRecordType::kClose:
      if (!in.ok() || !in.at_end()) return malformed();
      return {};
    case WalRecordType::kCopy:
      payload.remove_prefix(1);
      // A copy of a copy is never written.
      if (payload.empty() || payload.front() == static_cast<char>(WalRecordType::kCopy)) return malformed();
      return visit_wal_payload(payload, visitor);
  }
  return malformed();
}

}  // namespace tidemark
