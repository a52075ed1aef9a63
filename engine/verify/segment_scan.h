// All of a segment that can be read, checked on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/block.h"
#include "engine/format/segment_layout.h"
#include "engine/format/segment_meta.h"
#include "engine/io/file_system.h"
#include "engine/verify/reporter.h"
#include "engine/verify/version_source.h"

namespace tidemark::verify {

struct SegmentScanOptions {
  bool check_filter = false;   // look up each key in the filter
  bool search_blocks = false;  // if the index is damaged, look for blocks all the same
  uint64_t salt = 0;           // to be tried if the header is damaged; 0: not known
};

// A range of keys of which versions are lost, both ends inclusive; empty ends are open.
struct LostRange {
  std::string from;
  std::string up_to;
  uint64_t offset = 0;  // of the block
};

class SegmentScan final : public VersionSource {
 public:
  // `meta`: what the manifest says of the file; nothing: not known. The file is opened with the first next().
  SegmentScan(FileSystem& fs, std::string path, std::optional<SegmentMeta> meta,
              const SegmentScanOptions& options, Reporter& reporter);
  bool next() override;

  // After the end: what could be read.
  bool whole() const { return whole_; }
  const std::vector<LostRange>& lost() const { return lost_; }
  uint64_t entries() const { return seen_.entries; }

 private:
  bool open();
  void close();
  // Header, footer and what they lead to; false if the blocks cannot be found by them.
  bool read_parts();
  std::optional<std::string> read_piece(BlockPlace place, const char* name);
  void check_properties(std::string_view bytes, uint64_t offset);
  void search();
  bool next_block();
  bool take_block(std::string raw, uint64_t offset, std::optional<size_t> index_entry);
  void damaged(std::optional<uint64_t> offset, const Error& error);
  void damaged(std::optional<uint64_t> offset, std::string what);
  void lose(size_t index_entry);
  void check_entry();
  void check_totals();

  FileSystem& fs_;
  const std::optional<SegmentMeta> meta_;
  const SegmentScanOptions options_;
  Reporter& reporter_;

  bool opened_ = false;
  bool whole_ = true;
  std::unique_ptr<File> handle_;
  uint64_t size_ = 0;
  SegmentKind kind_ = SegmentKind::kLive;
  uint64_t salt_ = 0;
  std::optional<SegmentIndex> index_;
  std::string filter_;
  size_t next_block_ = 0;
  std::string window_;
  uint64_t window_offset_ = 0;
  // Instead of an index: blocks that were searched for.
  std::vector<std::pair<uint64_t, std::string>> found_;

  std::shared_ptr<const Block> block_;
  uint32_t entry_ = 0;
  std::string key_buffer_;
  std::string last_key_;  // of the block before
  Versionstamp last_stamp_;
  SegmentMeta seen_;
  std::vector<LostRange> lost_;
};

}  // namespace tidemark::verify
