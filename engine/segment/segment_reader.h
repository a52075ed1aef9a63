// Reads one segment file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/format/block.h"
#include "engine/format/entry_iterator.h"
#include "engine/format/segment_layout.h"
#include "engine/format/segment_meta.h"
#include "engine/io/file_system.h"
#include "engine/segment/block_cache.h"

namespace tidemark {

struct SegmentReadOptions {
  bool memory_only = false;       // kWouldBlock rather than read the disk
  bool fill_cache = true;         // keep the blocks read in the cache
  uint32_t read_ahead_bytes = 0;  // read at least this much at once (merges); bypasses the cache

  // To go once over all of it, as merges do.
  static SegmentReadOptions once_through() { return {false, false, uint32_t{256} << 10}; }
};

// An open segment: file, index, filter. Immutable; any thread. Every byte given out has matched its checksum.
class SegmentReader {
 public:
  // kCorruption names file and offset. `cache_id` is this file's name in the cache.
  static Result<std::shared_ptr<const SegmentReader>> open(FileSystem& fs, const std::string& path,
                                                           const SegmentMeta& meta, uint64_t cache_id,
                                                           BlockCache& cache);
  ~SegmentReader();

  struct Found {
    std::string_view value;
    Versionstamp stamp;
    Versionstamp superseded;  // Versionstamp::max() of a live version
    bool tombstone;
    std::shared_ptr<const Block> owner;  // keeps `value` alive
  };
  // The newest version of the key at or below `at`. `hash` is filter_hash(key).
  Result<std::optional<Found>> get(std::string_view key, uint64_t hash, Versionstamp at,
                                   const SegmentReadOptions& options) const;

  bool may_contain(uint64_t hash) const;
  // Memory of index and filter.
  size_t memory_bytes() const { return memory_bytes_; }

  size_t block_count() const { return index_.count(); }
  Result<std::shared_ptr<const Block>> block(size_t i, const SegmentReadOptions& options) const;
  // As block(), bypassing the cache, through a window of the file that the caller keeps.
  struct Window {
    uint64_t offset = 0;
    std::string bytes;
  };
  Result<std::shared_ptr<const Block>> block_through(Window& window, size_t i, uint32_t window_bytes) const;
  size_t find_block(std::string_view key, Versionstamp stamp) const { return index_.find(key, stamp); }

 private:
  SegmentReader(BlockCache& cache, uint64_t cache_id) : cache_(cache), cache_id_(cache_id) {}
  Result<std::string> read_block(BlockPlace place) const;
  Result<std::shared_ptr<const Block>> decode(std::string_view sealed, size_t i) const;
  std::unexpected<Error> damaged(uint64_t offset, const Error& error) const;

  BlockCache& cache_;
  const uint64_t cache_id_;
  std::unique_ptr<File> file_;
  SegmentKind kind_ = SegmentKind::kLive;
  uint64_t salt_ = 0;
  SegmentIndex index_;
  std::string smallest_key_;
  std::string filter_;
  size_t memory_bytes_ = 0;
};

class SegmentIterator final : public EntryIterator {
 public:
  SegmentIterator(std::shared_ptr<const SegmentReader> reader, const SegmentReadOptions& options)
      : reader_(std::move(reader)), options_(options) {}

  bool seek(std::string_view key, Versionstamp stamp) override;
  bool seek_before(std::string_view key) override;
  bool next() override;
  bool prev() override;

 private:
  bool load(size_t block);
  bool show(uint32_t entry);

  const std::shared_ptr<const SegmentReader> reader_;
  const SegmentReadOptions options_;
  SegmentReader::Window window_;
  std::shared_ptr<const Block> block_;
  size_t block_index_ = SIZE_MAX;
  uint32_t entry_ = 0;
  std::string key_buffer_;
};

}  // namespace tidemark
