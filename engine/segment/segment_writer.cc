#include "engine/segment/segment_writer.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/format/filter.h"

namespace tidemark {
namespace {

constexpr size_t kWriteBytes = size_t{1} << 20;
// Synced piece by piece, so that the sync at the end of a large file does not hold up those of the WAL.
constexpr uint64_t kSyncBytes = uint64_t{8} << 20;

}  // namespace

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, uint64_t number, SegmentKind kind, uint64_t salt,
                             const SegmentWriterOptions& options)
    : file_(std::move(file)), salt_(salt), options_(options), block_(kind) {
  meta_.number = number;
  meta_.kind = kind;
  meta_.min_stamp = Versionstamp::max();
  if (kind == SegmentKind::kHistory) meta_.min_superseded = Versionstamp::max();
  buffer_ = encode_segment_header({kind, salt});
  offset_ = buffer_.size();
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(FileSystem& fs, const std::string& path,
                                                             uint64_t number, SegmentKind kind, uint64_t salt,
                                                             const SegmentWriterOptions& options) {
  TM_ASSIGN(auto file, fs.open(path, OpenMode::kCreate));
  return std::unique_ptr<SegmentWriter>(new SegmentWriter(std::move(file), number, kind, salt, options));
}

Status SegmentWriter::add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
                          std::string_view value) {
  const bool new_key = meta_.entries == 0 || key != last_key_;
  TM_CHECK(meta_.kind == SegmentKind::kHistory ? superseded > stamp : new_key);
  if (!block_.empty() && block_.raw_bytes() + key.size() + value.size() > options_.block_bytes)
    TM_TRY(finish_block());
  block_.add(key, stamp, superseded, tombstone, value);
  if (meta_.entries == 0) meta_.smallest_key = key;
  if (new_key) {
    if (options_.filter_bits_per_key > 0) hashes_.push_back(filter_hash(key));
    last_key_ = key;
  }
  ++meta_.entries;
  if (tombstone) ++meta_.tombstones;
  meta_.min_stamp = std::min(meta_.min_stamp, stamp);
  meta_.max_stamp = std::max(meta_.max_stamp, stamp);
  if (meta_.kind == SegmentKind::kHistory) {
    meta_.min_superseded = std::min(meta_.min_superseded, superseded);
    meta_.max_superseded = std::max(meta_.max_superseded, superseded);
  }
  return {};
}

BlockPlace SegmentWriter::put_block(std::string_view raw, BlockCompressor* compressor) {
  const uint64_t size = seal_block(buffer_, raw, compressor, salt_, offset_);
  const BlockPlace place{offset_, size};
  offset_ += size;
  return place;
}

Status SegmentWriter::finish_block() {
  const std::string key(block_.last_key());
  const Versionstamp stamp = block_.last_stamp();
  const BlockPlace place = put_block(block_.finish(), compressor());
  index_.add(key, stamp, place.size);
  return buffer_.size() < kWriteBytes ? Status() : write_out();
}

Status SegmentWriter::write_out() {
  TM_TRY(file_->write_at(offset_ - buffer_.size(), buffer_));
  unsynced_ += buffer_.size();
  buffer_.clear();
  if (unsynced_ < kSyncBytes) return {};
  unsynced_ = 0;
  return file_->sync_data();
}

Result<SegmentMeta> SegmentWriter::finish() {
  TM_CHECK(meta_.entries > 0);
  if (!block_.empty()) TM_TRY(finish_block());
  meta_.largest_key = last_key_;
  SegmentFooter footer;
  if (const std::string filter = build_filter(hashes_, options_.filter_bits_per_key); !filter.empty())
    footer.filter = put_block(filter, nullptr);
  compressor_ = {};  // what the blocks were like says nothing of their index
  footer.index = put_block(index_.finish(), compressor());
  std::string properties;
  put_segment_meta(properties, meta_);  // file_bytes still 0: not known before it is written
  footer.properties = put_block(properties, nullptr);
  buffer_ += encode_segment_footer(footer, salt_);
  offset_ += kSegmentFooterBytes;
  TM_TRY(file_->write_at(offset_ - buffer_.size(), buffer_));
  TM_TRY(file_->sync_data());
  meta_.file_bytes = offset_;
  return meta_;
}

}  // namespace tidemark
