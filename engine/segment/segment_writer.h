// Writes one segment file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/block.h"
#include "engine/format/segment_layout.h"
#include "engine/format/segment_meta.h"
#include "engine/io/file_system.h"

namespace tidemark {

struct SegmentWriterOptions {
  uint32_t block_bytes = 4096;
  bool compression = true;
  int filter_bits_per_key = 10;
};

// One thread. A file that was not finished is worthless; remove it.
class SegmentWriter {
 public:
  static Result<std::unique_ptr<SegmentWriter>> create(FileSystem& fs, const std::string& path,
                                                       uint64_t number, SegmentKind kind, uint64_t salt,
                                                       const SegmentWriterOptions& options);

  // REQUIRES: after all earlier ones in the order of entries; in a live segment, no key twice.
  Status add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
             std::string_view value);
  uint64_t entries() const { return meta_.entries; }
  // Bytes of the file so far, about.
  uint64_t bytes() const { return offset_ + block_.raw_bytes(); }
  // Writes what is left, makes the file's bytes durable (the caller syncs the folder), and tells what is in
  // it. REQUIRES: at least one entry.
  Result<SegmentMeta> finish();

 private:
  SegmentWriter(std::unique_ptr<File> file, uint64_t number, SegmentKind kind, uint64_t salt,
                const SegmentWriterOptions& options);
  Status finish_block();
  BlockPlace put_block(std::string_view raw, BlockCompressor* compressor);
  BlockCompressor* compressor() { return options_.compression ? &compressor_ : nullptr; }
  Status write_out();

  const std::unique_ptr<File> file_;
  const uint64_t salt_;
  const SegmentWriterOptions options_;
  SegmentMeta meta_;
  BlockBuilder block_;
  BlockCompressor compressor_;
  SegmentIndexBuilder index_;
  std::vector<uint64_t> hashes_;
  std::string last_key_;
  std::string buffer_;   // sealed bytes not yet written
  uint64_t offset_ = 0;  // of the end of buffer_ in the file
  uint64_t unsynced_ = 0;
};

}  // namespace tidemark
