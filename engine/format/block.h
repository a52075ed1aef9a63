// A block: some tens of consecutive entries of a segment. All keys of a block share one prefix, stored once;
// every entry is a restart point, found by an offset array: search needs no key to be put together, and
// walking backwards costs what walking forwards does. Byte by byte: docs/formats/segment.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/format/segment_meta.h"

namespace tidemark {

// The order of entries everywhere: keys ascending, and of one key the newest first.
inline int compare_entries(std::string_view a_key, Versionstamp a_stamp, std::string_view b_key,
                           Versionstamp b_stamp) {
  if (const int c = a_key.compare(b_key); c != 0) return c;
  return a_stamp == b_stamp ? 0 : a_stamp > b_stamp ? -1 : 1;
}

struct BlockEntry {
  std::string_view key_suffix;  // after the block's prefix
  std::string_view value;
  Versionstamp stamp;
  // An upper bound of what superseded this version; in live blocks, which say nothing of it, none.
  Versionstamp superseded = Versionstamp::max();
  bool tombstone = false;
};

// An immutable block in memory. Any thread.
class Block {
 public:
  // Checks every offset and length and the order of the entries once, so that later accesses need no check.
  // kCorruption (no file in the message) if anything does not fit.
  static Result<std::shared_ptr<const Block>> parse(std::string bytes, SegmentKind kind);
  // For parse's make_shared; use parse.
  Block(std::string bytes, SegmentKind kind) : bytes_(std::move(bytes)), kind_(kind) {}

  uint32_t count() const { return count_; }
  std::string_view prefix() const { return {bytes_.data() + prefix_begin_, prefix_size_}; }
  // REQUIRES: index < count().
  BlockEntry entry(uint32_t index) const { return decode(bytes_.data() + entry_offset(index)); }
  // The first entry at or after (key, stamp) in the order of entries; count() if there is none.
  uint32_t lower_bound(std::string_view key, Versionstamp stamp) const;
  size_t memory_bytes() const { return sizeof(*this) + bytes_.capacity(); }

 private:
  uint32_t entry_offset(uint32_t index) const {
    const char* p = bytes_.data() + offsets_begin_;
    return wide_ ? load_le32(p + 4 * size_t{index}) : load_le16(p + 2 * size_t{index});
  }
  BlockEntry decode(const char* p) const {
    uint64_t suffix_size, meta;
    p = load_checked_varint(p, &suffix_size);
    p = load_checked_varint(p, &meta);
    BlockEntry entry;
    entry.key_suffix = {p, suffix_size};
    p += suffix_size;
    entry.stamp.number = load_be64(p);
    p += 8;
    if (meta & 2) {
      entry.stamp.tail = load_be16(p);
      p += 2;
    }
    if (kind_ == SegmentKind::kHistory) {
      entry.superseded = Versionstamp::from_bytes(p);
      p += Versionstamp::kBytes;
    }
    entry.tombstone = (meta & 1) != 0;
    entry.value = {p, meta >> 2};
    return entry;
  }

  std::string bytes_;
  SegmentKind kind_;
  bool wide_ = false;
  uint32_t count_ = 0;
  uint32_t prefix_begin_ = 0;
  uint32_t prefix_size_ = 0;
  uint32_t offsets_begin_ = 0;
};

class BlockBuilder {
 public:
  explicit BlockBuilder(SegmentKind kind) : kind_(kind) {}

  // REQUIRES: after all earlier ones in the order of entries.
  void add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
           std::string_view value);
  bool empty() const { return entries_.empty(); }
  // Bytes added since the last finish, without prefix compression.
  size_t raw_bytes() const { return arena_.size(); }
  // REQUIRES: not empty.
  std::string_view last_key() const { return key(entries_.back()); }
  Versionstamp last_stamp() const { return entries_.back().stamp; }
  // The block's bytes; the builder is empty afterwards.
  std::string finish();

 private:
  struct Pending {
    size_t begin;
    uint32_t key_size;
    uint32_t value_size;
    Versionstamp stamp;
    Versionstamp superseded;
    bool tombstone;
  };
  std::string_view key(const Pending& e) const { return {arena_.data() + e.begin, e.key_size}; }

  const SegmentKind kind_;
  std::string arena_;
  std::vector<Pending> entries_;
};

}  // namespace tidemark
