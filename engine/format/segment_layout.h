// The parts of a segment file around its blocks. Byte by byte: docs/formats/segment.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/segment_meta.h"

namespace tidemark {

class Block;

inline constexpr uint32_t kSegmentFormatVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 32;
inline constexpr size_t kSegmentFooterBytes = 64;
inline constexpr size_t kBlockTrailerBytes = 9;  // codec, checksum

struct SegmentHeader {
  SegmentKind kind = SegmentKind::kLive;
  uint64_t salt = 0;  // of the database and the file; seeds the checksums of this file's blocks
};
std::string encode_segment_header(const SegmentHeader& header);
Result<SegmentHeader> decode_segment_header(std::string_view bytes);

struct BlockPlace {
  uint64_t offset = 0;
  uint64_t size = 0;  // trailer included
};

// Of the blocks of one file, one after the other. Where they do not get smaller it soon only skims them.
class BlockCompressor {
 public:
  // Appends the compressed form, if it is worth having; otherwise false, and `out` is as before.
  bool append(std::string& out, std::string_view raw);

 private:
  uint32_t misses_ = 0;  // since the last block that got smaller
};

// Appends `raw` to `out` as it stands in a file at `offset`: compressed if that is asked for (not null) and
// worth it, then codec and checksum. Returns the bytes appended.
uint64_t seal_block(std::string& out, std::string_view raw, BlockCompressor* compressor, uint64_t salt,
                    uint64_t offset);
// The raw bytes again. kCorruption (no file in the message) if they do not match their checksum.
Result<std::string> unseal_block(std::string_view sealed, uint64_t salt, uint64_t offset);

struct SegmentFooter {
  BlockPlace filter;  // size 0: none
  BlockPlace index;
  BlockPlace properties;
};
std::string encode_segment_footer(const SegmentFooter& footer, uint64_t salt);
// `file_bytes`: the file's size, which all places must fit.
Result<SegmentFooter> decode_segment_footer(std::string_view bytes, uint64_t salt, uint64_t file_bytes);

class SegmentIndexBuilder {
 public:
  void add(std::string_view last_key, Versionstamp last_stamp, uint64_t sealed_bytes);
  std::string finish() const;

 private:
  uint64_t count_ = 0;
  std::string previous_;
  std::string body_;
};

// Which block may hold an entry. Immutable. Blocks stand one behind the other from kSegmentHeaderBytes on.
class SegmentIndex {
 public:
  static Result<SegmentIndex> parse(std::string_view bytes);

  size_t count() const { return places_.size(); }
  BlockPlace place(size_t i) const { return places_[i]; }
  std::string_view last_key(size_t i) const { return key(i); }
  // Whether a block is what block i is said to be: it ends with the entry named here, and all of it lies
  // behind block i - 1.
  bool agrees(size_t i, const Block& block, SegmentKind kind) const;
  // The first block whose last entry is at or after (key, stamp); count() if there is none.
  size_t find(std::string_view key, Versionstamp stamp) const;
  size_t memory_bytes() const;

 private:
  std::string_view key(size_t i) const {
    return std::string_view(keys_).substr(key_begin_[i], key_begin_[i + 1] - key_begin_[i]);
  }

  // Search runs over heads_, the first eight bytes of each key after what all share, which mostly decide; the
  // keys themselves are looked at only where heads are equal.
  std::string keys_;
  std::vector<uint32_t> key_begin_;
  std::vector<uint64_t> heads_;
  std::vector<Versionstamp> stamps_;
  std::vector<BlockPlace> places_;
  size_t shared_ = 0;
};

}  // namespace tidemark
