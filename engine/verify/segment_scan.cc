// Reads the file once, from the first block to the last, after the parts that tell where they are. A damaged
// block costs that block: the index says where the next one begins.
#include "engine/verify/segment_scan.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/format/filter.h"
#include "engine/verify/sealed_search.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kWindowBytes = uint64_t{512} << 10;
constexpr uint64_t kMaxSearchedBytes = uint64_t{4} << 30;

}  // namespace

SegmentScan::SegmentScan(FileSystem& fs, std::string path, std::optional<SegmentMeta> meta,
                         const SegmentScanOptions& options, Reporter& reporter)
    : fs_(fs), meta_(std::move(meta)), options_(options), reporter_(reporter) {
  file_ = std::move(path);
  if (meta_) smallest_key_ = meta_->smallest_key;
  seen_.min_stamp = seen_.min_superseded = Versionstamp::max();
}

void SegmentScan::damaged(std::optional<uint64_t> offset, const Error& error) {
  whole_ = false;
  reporter_.report(kSegmentDamaged, file_, offset, error);
}

void SegmentScan::damaged(std::optional<uint64_t> offset, std::string what) {
  damaged(offset, Error{ErrorCode::kCorruption, std::move(what)});
}

void SegmentScan::close() {
  handle_.reset();
  window_ = {};
  block_.reset();
  filter_ = {};
  found_ = {};
  index_.reset();
}

std::optional<std::string> SegmentScan::read_piece(BlockPlace place, const char* name) {
  std::string sealed(place.size, '\0');
  const auto count = handle_->read_at(place.offset, sealed.data(), sealed.size());
  if (!count) {
    damaged(place.offset, count.error());
    return std::nullopt;
  }
  reporter_.advance(*count);
  sealed.resize(*count);
  auto raw = unseal_block(sealed, salt_, place.offset);
  if (raw) return std::move(*raw);
  damaged(place.offset, std::string("the ") + name + ": " + raw.error().message);
  return std::nullopt;
}

void SegmentScan::check_properties(std::string_view bytes, uint64_t offset) {
  ByteReader in(bytes);
  SegmentMeta own = read_segment_meta(in);
  if (!in.ok()) return damaged(offset, "what the segment says of itself is malformed");
  if (!meta_) {
    if (kind_ != own.kind) damaged(offset, "header and properties name different kinds of segment");
    return;
  }
  own.file_bytes = meta_->file_bytes;  // not known when they were written
  if (own == *meta_) return;
  whole_ = false;
  reporter_.report(kSegmentMismatch, file_, offset,
                   own.number != meta_->number
                       ? "the file is segment " + std::to_string(own.number) + ", not the one of its name"
                       : "the file is not the one that the manifest describes");
}

bool SegmentScan::read_parts() {
  char head[kSegmentHeaderBytes], foot[kSegmentFooterBytes];
  const auto head_read = handle_->read_at(0, head, sizeof head);
  if (!head_read) return damaged(0, head_read.error()), false;
  const auto header = decode_segment_header({head, *head_read});
  if (header) {
    kind_ = header->kind;
    salt_ = header->salt;
    if (meta_ && header->kind != meta_->kind) {
      whole_ = false;
      reporter_.report(kSegmentMismatch, file_, 12, "the file is a segment of another kind");
    }
  } else {
    damaged(0, header.error());
    if (header.error().code == ErrorCode::kNewerFormat || options_.salt == 0) return false;
    salt_ = options_.salt;
    if (meta_) kind_ = meta_->kind;
  }
  if (size_ < kSegmentHeaderBytes + kSegmentFooterBytes)
    return damaged(std::nullopt, "the file is cut short"), false;
  const uint64_t foot_offset = size_ - kSegmentFooterBytes;
  const auto foot_read = handle_->read_at(foot_offset, foot, sizeof foot);
  if (!foot_read) return damaged(foot_offset, foot_read.error()), false;
  const auto footer = decode_segment_footer({foot, *foot_read}, salt_, size_);
  if (!footer) return damaged(foot_offset, footer.error()), false;

  if (const auto properties = read_piece(footer->properties, "description of the segment"))
    check_properties(*properties, footer->properties.offset);
  if (footer->filter.size > 0) {
    if (auto filter = read_piece(footer->filter, "filter")) filter_ = std::move(*filter);
  }
  const auto raw = read_piece(footer->index, "index");
  if (!raw) return false;
  auto index = SegmentIndex::parse(*raw);
  if (!index) return damaged(footer->index.offset, index.error()), false;
  if (index->count() == 0) return damaged(footer->index.offset, "the index names no block"), false;
  const BlockPlace last = index->place(index->count() - 1);
  if (last.offset + last.size > footer->index.offset)
    return damaged(footer->index.offset, "the index points beyond the blocks"), false;
  if (meta_ && index->last_key(index->count() - 1) != meta_->largest_key) {
    whole_ = false;
    reporter_.report(kSegmentMismatch, file_, footer->index.offset,
                     "the index does not end where the manifest's description does");
  }
  index_ = std::move(*index);
  return true;
}

void SegmentScan::search() {
  auto bytes = read_file(fs_, file_, kMaxSearchedBytes);
  if (!bytes || salt_ == 0) return;
  search_sealed(*bytes, salt_, kSegmentHeaderBytes, [&](uint64_t offset, std::string content, bool) {
    found_.emplace_back(offset, std::move(content));
  });
}

bool SegmentScan::open() {
  opened_ = true;
  auto handle = fs_.open(file_, OpenMode::kRead);
  if (!handle) {
    whole_ = false;
    // One that is missing has been reported as such.
    if (handle.error().code != ErrorCode::kNotFound)
      reporter_.report(kUnreadable, file_, std::nullopt, handle.error().message);
    return false;
  }
  handle_ = std::move(*handle);
  const auto size = handle_->size();
  if (!size) return damaged(std::nullopt, size.error()), false;
  size_ = *size;
  reporter_.advance(kSegmentHeaderBytes + kSegmentFooterBytes);
  if (meta_ && size_ != meta_->file_bytes) {
    whole_ = false;
    reporter_.report(
        kSegmentMismatch, file_, std::nullopt,
        "the file has " + std::to_string(size_) + " bytes instead of " + std::to_string(meta_->file_bytes));
  }
  if (read_parts()) return true;
  lost_.push_back({});
  if (!options_.search_blocks) return false;
  search();
  return true;
}

void SegmentScan::lose(size_t i) {
  lost_.push_back({i == 0 ? std::string() : std::string(index_->last_key(i - 1)),
                   std::string(index_->last_key(i)), index_->place(i).offset});
}

bool SegmentScan::take_block(std::string raw, uint64_t offset, std::optional<size_t> i) {
  auto block = Block::parse(std::move(raw), kind_);
  if (!block) {
    // Among what was searched for there are the other parts of the file.
    if (i) damaged(offset, block.error());
    return false;
  }
  if (i && !index_->agrees(*i, **block, kind_)) {
    damaged(offset, "the block is not the one that the index says");
    return false;
  }
  const BlockEntry first = (*block)->entry(0);
  const std::string key = std::string((*block)->prefix()).append(first.key_suffix);
  if (seen_.entries > 0) {
    const int order = last_key_.compare(key);
    if (order > 0 || (order == 0 && (kind_ == SegmentKind::kLive || last_stamp_ <= first.stamp))) {
      if (i) damaged(offset, "the block does not lie behind the one before it");
      return false;
    }
  }
  block_ = std::move(*block);
  const BlockEntry last = block_->entry(block_->count() - 1);
  last_key_ = std::string(block_->prefix()).append(last.key_suffix);
  last_stamp_ = last.stamp;
  offset_ = offset;
  entry_ = 0;
  key_buffer_ = block_->prefix();
  return true;
}

bool SegmentScan::next_block() {
  if (!index_) {
    while (next_block_ < found_.size()) {
      auto& [offset, raw] = found_[next_block_++];
      if (take_block(std::move(raw), offset, std::nullopt)) return true;
    }
    return false;
  }
  while (next_block_ < index_->count()) {
    const size_t i = next_block_++;
    const BlockPlace place = index_->place(i);
    if (place.offset < window_offset_ || place.offset + place.size > window_offset_ + window_.size()) {
      const BlockPlace last = index_->place(index_->count() - 1);
      const uint64_t left = last.offset + last.size - place.offset;
      window_offset_ = place.offset;
      window_.resize(std::max(place.size, std::min(kWindowBytes, left)));
      const auto count = handle_->read_at(place.offset, window_.data(), window_.size());
      if (!count) {
        window_.clear();
        damaged(place.offset, count.error());
        lose(i);
        continue;
      }
      window_.resize(*count);
      reporter_.advance(*count);
    }
    auto raw =
        unseal_block(std::string_view(window_).substr(
                         std::min<uint64_t>(place.offset - window_offset_, window_.size()), place.size),
                     salt_, place.offset);
    if (raw && take_block(std::move(*raw), place.offset, i)) return true;
    if (!raw)
      damaged(place.offset, raw.error().message + "; its keys end with " + shown(index_->last_key(i)));
    lose(i);
  }
  return false;
}

bool SegmentScan::next() {
  if (!opened_ && !open()) return close(), false;
  while (true) {
    if (block_ == nullptr || ++entry_ == block_->count()) {
      if (handle_ == nullptr) return false;
      if (!next_block()) {
        check_totals();
        return close(), false;
      }
    }
    const BlockEntry e = block_->entry(entry_);
    key_buffer_.resize(block_->prefix().size());
    key_buffer_.append(e.key_suffix);
    key_ = key_buffer_;
    value_ = e.value;
    stamp_ = e.stamp;
    superseded_ = e.superseded;
    tombstone_ = e.tombstone;
    check_entry();
    // Readers refuse what lies before the range that the manifest names, and a merge counts on it.
    if (key_ >= smallest_key_) return true;
  }
}

void SegmentScan::check_entry() {
  ++seen_.entries;
  if (tombstone_) ++seen_.tombstones;
  seen_.min_stamp = std::min(seen_.min_stamp, stamp_);
  seen_.max_stamp = std::max(seen_.max_stamp, stamp_);
  if (kind_ == SegmentKind::kHistory) {
    seen_.min_superseded = std::min(seen_.min_superseded, superseded_);
    seen_.max_superseded = std::max(seen_.max_superseded, superseded_);
  }
  if (meta_ && (entry_ == 0 || entry_ + 1 == block_->count()) &&
      (key_ < meta_->smallest_key || key_ > meta_->largest_key)) {
    whole_ = false;
    reporter_.report(kSegmentMismatch, file_, offset_,
                     "the key " + shown(key_) + " lies outside of the range that the manifest names");
  }
  if (key_.empty() || key_.size() > UINT16_MAX)
    damaged(offset_, "a key has " + std::to_string(key_.size()) + " bytes");
  if (options_.check_filter && !filter_may_contain(filter_, filter_hash(key_))) {
    whole_ = false;
    reporter_.report(kFilterWrong, file_, offset_, "the filter denies the key " + shown(key_));
  }
  if (seen_.entries == 1) seen_.smallest_key = key_;
}

void SegmentScan::check_totals() {
  // Without all blocks there is nothing to compare.
  if (!meta_ || !index_ || !lost_.empty()) return;
  const auto mismatch = [&](const std::string& what) {
    whole_ = false;
    reporter_.report(kSegmentMismatch, file_, std::nullopt, what);
  };
  const auto compare = [&](uint64_t found, uint64_t said, const char* what) {
    if (found != said)
      mismatch("it has " + std::to_string(found) + " " + what + ", and the manifest says " +
               std::to_string(said));
  };
  compare(seen_.entries, meta_->entries, "entries");
  compare(seen_.tombstones, meta_->tombstones, "tombstones");
  if (seen_.smallest_key != meta_->smallest_key)
    mismatch("its first key is " + shown(seen_.smallest_key) + ", and the manifest says " +
             shown(meta_->smallest_key));
  if (seen_.min_stamp != meta_->min_stamp || seen_.max_stamp != meta_->max_stamp)
    mismatch("its versionstamps are not in the range that the manifest names");
  if (kind_ == SegmentKind::kHistory &&
      (seen_.min_superseded != meta_->min_superseded || seen_.max_superseded != meta_->max_superseded))
    mismatch("its entries were superseded in another range than the manifest names");
}

}  // namespace tidemark::verify
