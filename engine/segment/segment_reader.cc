#include "engine/segment/segment_reader.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/format/filter.h"

namespace tidemark {

std::unexpected<Error> SegmentReader::damaged(uint64_t offset, const Error& error) const {
  return fail(error.code, file_->path() + " at offset " + std::to_string(offset) + ": " + error.message);
}

Result<std::string> SegmentReader::read_block(BlockPlace place) const {
  std::string sealed(place.size, '\0');
  TM_ASSIGN(const size_t n, file_->read_at(place.offset, sealed.data(), sealed.size()));
  sealed.resize(n);
  auto raw = unseal_block(sealed, salt_, place.offset);
  if (!raw) return damaged(place.offset, raw.error());
  return raw;
}

Result<std::shared_ptr<const SegmentReader>> SegmentReader::open(FileSystem& fs, const std::string& path,
                                                                 const SegmentMeta& meta, uint64_t cache_id,
                                                                 BlockCache& cache) {
  std::shared_ptr<SegmentReader> reader(new SegmentReader(cache, cache_id));
  TM_ASSIGN(reader->file_, fs.open(path, OpenMode::kRead));
  const auto at = [&](uint64_t offset, const Error& error) { return reader->damaged(offset, error); };
  TM_ASSIGN(const uint64_t size, reader->file_->size());
  if (size != meta.file_bytes || size < kSegmentHeaderBytes + kSegmentFooterBytes)
    return fail(ErrorCode::kCorruption, path + " has " + std::to_string(size) + " bytes instead of " +
                                            std::to_string(meta.file_bytes));
  char head[kSegmentHeaderBytes], foot[kSegmentFooterBytes];
  TM_ASSIGN(const size_t head_read, reader->file_->read_at(0, head, sizeof head));
  auto header = decode_segment_header({head, head_read});
  if (!header) return at(0, header.error());
  if (header->kind != meta.kind)
    return fail(ErrorCode::kCorruption, path + " at offset 12: the file is a segment of another kind");
  reader->kind_ = header->kind;
  reader->salt_ = header->salt;
  const uint64_t foot_offset = size - kSegmentFooterBytes;
  TM_ASSIGN(const size_t foot_read, reader->file_->read_at(foot_offset, foot, sizeof foot));
  auto footer = decode_segment_footer({foot, foot_read}, reader->salt_, size);
  if (!footer) return at(foot_offset, footer.error());

  TM_ASSIGN(const std::string index, reader->read_block(footer->index));
  auto parsed = SegmentIndex::parse(index);
  if (!parsed) return at(footer->index.offset, parsed.error());
  reader->index_ = std::move(*parsed);
  const size_t blocks = reader->index_.count();
  const BlockPlace last = blocks > 0 ? reader->index_.place(blocks - 1) : BlockPlace{};
  if (last.offset + last.size > footer->index.offset)
    return fail(ErrorCode::kCorruption, path + " at offset " + std::to_string(footer->index.offset) +
                                            ": the index points beyond the blocks");
  // What the file says of itself: two files that changed places are both intact.
  TM_ASSIGN(const std::string properties, reader->read_block(footer->properties));
  ByteReader in(properties);
  SegmentMeta own = read_segment_meta(in);
  own.file_bytes = meta.file_bytes;  // not known when they were written
  if (!in.ok() || own != meta)
    return fail(ErrorCode::kCorruption, path + " at offset " + std::to_string(footer->properties.offset) +
                                            ": the file is not the one that the manifest describes");
  // What is looked for in this file, and what is not, goes by its description.
  if (blocks == 0 || reader->index_.last_key(blocks - 1) != meta.largest_key)
    return fail(ErrorCode::kCorruption, path + " at offset " + std::to_string(footer->index.offset) +
                                            ": the index does not end where the description does");
  reader->smallest_key_ = meta.smallest_key;
  if (footer->filter.size > 0) {
    TM_ASSIGN(reader->filter_, reader->read_block(footer->filter));
  }
  reader->memory_bytes_ = reader->index_.memory_bytes() + reader->filter_.capacity() +
                          reader->smallest_key_.capacity() + sizeof(SegmentReader);
  cache.add_reserved(static_cast<int64_t>(reader->memory_bytes_));
  return std::shared_ptr<const SegmentReader>(std::move(reader));
}

SegmentReader::~SegmentReader() {
  cache_.add_reserved(-static_cast<int64_t>(memory_bytes_));
}

bool SegmentReader::may_contain(uint64_t hash) const {
  return filter_may_contain(filter_, hash);
}

Result<std::shared_ptr<const Block>> SegmentReader::decode(std::string_view sealed, size_t i) const {
  const uint64_t offset = index_.place(i).offset;
  auto raw = unseal_block(sealed, salt_, offset);
  if (!raw) return damaged(offset, raw.error());
  auto block = Block::parse(std::move(*raw), kind_);
  if (!block) return damaged(offset, block.error());
  // Searches and scans go from block to block as the index says.
  const bool fits = index_.agrees(i, **block, kind_) &&
                    (i > 0 || (*block)->lower_bound(smallest_key_, Versionstamp::max()) == 0);
  if (!fits) return damaged(offset, {ErrorCode::kCorruption, "a block is not what the index says"});
  return block;
}

Result<std::shared_ptr<const Block>> SegmentReader::block(size_t i, const SegmentReadOptions& options) const {
  const BlockPlace place = index_.place(i);
  if (auto cached = cache_.find(cache_id_, place.offset)) return cached;
  if (options.memory_only) return fail(ErrorCode::kWouldBlock, "a block is not in memory");
  std::string sealed(place.size, '\0');
  TM_ASSIGN(const size_t n, file_->read_at(place.offset, sealed.data(), sealed.size()));
  TM_ASSIGN(auto block, decode(std::string_view(sealed).substr(0, n), i));
  if (options.fill_cache) cache_.insert(cache_id_, place.offset, block);
  return block;
}

Result<std::shared_ptr<const Block>> SegmentReader::block_through(Window& window, size_t i,
                                                                  uint32_t window_bytes) const {
  const BlockPlace place = index_.place(i);
  if (place.offset < window.offset || place.offset + place.size > window.offset + window.bytes.size()) {
    // No further than the blocks go: most segments of a small database are smaller than a window.
    const BlockPlace last = index_.place(index_.count() - 1);
    const uint64_t left = last.offset + last.size - place.offset;
    window.offset = place.offset;
    window.bytes.resize(std::max<uint64_t>(place.size, std::min<uint64_t>(window_bytes, left)));
    TM_ASSIGN(const size_t n, file_->read_at(window.offset, window.bytes.data(), window.bytes.size()));
    window.bytes.resize(n);
  }
  return decode(std::string_view(window.bytes).substr(place.offset - window.offset, place.size), i);
}

Result<std::optional<SegmentReader::Found>> SegmentReader::get(std::string_view key, uint64_t hash,
                                                               Versionstamp at,
                                                               const SegmentReadOptions& options) const {
  if (!may_contain(hash)) return std::nullopt;
  const size_t i = index_.find(key, at);
  if (i == index_.count()) return std::nullopt;
  TM_ASSIGN(auto block, this->block(i, options));
  const uint32_t at_entry = block->lower_bound(key, at);
  if (at_entry == block->count()) return std::nullopt;
  const BlockEntry e = block->entry(at_entry);
  const std::string_view prefix = block->prefix();
  if (key.size() != prefix.size() + e.key_suffix.size() || key.substr(prefix.size()) != e.key_suffix ||
      !key.starts_with(prefix))
    return std::nullopt;
  return Found{e.value, e.stamp, e.superseded, e.tombstone, std::move(block)};
}

bool SegmentIterator::load(size_t i) {
  if (i == block_index_) return true;
  auto block = options_.read_ahead_bytes > 0 ? reader_->block_through(window_, i, options_.read_ahead_bytes)
                                             : reader_->block(i, options_);
  if (!block) {
    block_index_ = SIZE_MAX;
    return error(std::move(block).error());
  }
  block_ = std::move(*block);
  block_index_ = i;
  key_buffer_ = block_->prefix();
  return true;
}

bool SegmentIterator::show(uint32_t entry) {
  entry_ = entry;
  const BlockEntry e = block_->entry(entry);
  key_buffer_.resize(block_->prefix().size());
  key_buffer_.append(e.key_suffix);
  key_ = key_buffer_;
  value_ = e.value;
  stamp_ = e.stamp;
  superseded_ = e.superseded;
  tombstone_ = e.tombstone;
  return valid_ = true;
}

bool SegmentIterator::seek(std::string_view key, Versionstamp stamp) {
  const size_t i = reader_->find_block(key, stamp);
  if (i == reader_->block_count()) return end();
  if (!load(i)) return false;
  const uint32_t entry = block_->lower_bound(key, stamp);
  if (entry < block_->count()) return show(entry);
  // Only a wrong index can lead here: its block's last entry is at or after the target.
  return error(
      {ErrorCode::kCorruption, "a segment's index and block " + std::to_string(i) + " do not agree"});
}

bool SegmentIterator::seek_before(std::string_view key) {
  const size_t count = reader_->block_count();
  if (count == 0) return end();
  size_t i = count;
  if (!key.empty()) i = reader_->find_block(key, Versionstamp::max());
  if (i < count) {
    if (!load(i)) return false;
    if (const uint32_t entry = block_->lower_bound(key, Versionstamp::max()); entry > 0)
      return show(entry - 1);
  }
  if (i == 0) return end();
  if (!load(i - 1)) return false;
  return show(block_->count() - 1);
}

bool SegmentIterator::next() {
  if (entry_ + 1 < block_->count()) return show(entry_ + 1);
  if (block_index_ + 1 == reader_->block_count()) return end();
  return load(block_index_ + 1) && show(0);
}

bool SegmentIterator::prev() {
  if (entry_ > 0) return show(entry_ - 1);
  if (block_index_ == 0) return end();
  return load(block_index_ - 1) && show(block_->count() - 1);
}

}  // namespace tidemark
