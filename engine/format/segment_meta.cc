#include "engine/format/segment_meta.h"

namespace tidemark {

void put_stamp(std::string& out, Versionstamp stamp) {
  const auto raw = stamp.bytes();
  out.append(raw.data(), raw.size());
}

Versionstamp read_stamp(ByteReader& in) {
  const uint64_t number = in.be64();
  return {number, in.be16()};
}

void put_segment_meta(std::string& out, const SegmentMeta& meta) {
  put_varint(out, meta.number);
  out.push_back(static_cast<char>(meta.kind));
  put_varint(out, meta.file_bytes);
  put_varint(out, meta.entries);
  put_varint(out, meta.tombstones);
  put_bytes(out, meta.smallest_key);
  put_bytes(out, meta.largest_key);
  put_stamp(out, meta.min_stamp);
  put_stamp(out, meta.max_stamp);
  put_stamp(out, meta.min_superseded);
  put_stamp(out, meta.max_superseded);
}

SegmentMeta read_segment_meta(ByteReader& in) {
  SegmentMeta meta;
  meta.number = in.varint();
  const uint8_t kind = in.u8();
  if (kind > 1) in.reject();
  meta.kind = static_cast<SegmentKind>(kind);
  meta.file_bytes = in.varint();
  meta.entries = in.varint();
  meta.tombstones = in.varint();
  meta.smallest_key = in.bytes();
  meta.largest_key = in.bytes();
  meta.min_stamp = read_stamp(in);
  meta.max_stamp = read_stamp(in);
  meta.min_superseded = read_stamp(in);
  meta.max_superseded = read_stamp(in);
  return meta;
}

}  // namespace tidemark
