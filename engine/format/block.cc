#include "engine/format/block.h"

#include <algorithm>

#include "engine/base/check.h"

namespace tidemark {
namespace {

constexpr uint8_t kWideOffsets = 1;

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first - a.begin());
}

std::unexpected<Error> malformed() {
  return fail(ErrorCode::kCorruption, "a block with a good checksum is malformed");
}

}  // namespace

Result<std::shared_ptr<const Block>> Block::parse(std::string bytes, SegmentKind kind) {
  auto block = std::make_shared<Block>(std::move(bytes), kind);
  const std::string& b = block->bytes_;
  if (b.size() < 6 || b.size() > UINT32_MAX) return malformed();
  const char* begin = b.data();
  const char* end = begin + b.size() - 4;
  if ((static_cast<uint8_t>(b[0]) & ~kWideOffsets) != 0) return malformed();
  block->count_ = load_le32(end);
  if (block->count_ == 0) return malformed();
  block->wide_ = (static_cast<uint8_t>(b[0]) & kWideOffsets) != 0;
  const uint64_t offsets_bytes = uint64_t{block->count_} * (block->wide_ ? 4 : 2);
  uint64_t prefix_size;
  const char* p = load_varint(begin + 1, end, &prefix_size);
  if (p == nullptr || prefix_size > static_cast<uint64_t>(end - p)) return malformed();
  block->prefix_begin_ = static_cast<uint32_t>(p - begin);
  block->prefix_size_ = static_cast<uint32_t>(prefix_size);
  p += prefix_size;
  if (offsets_bytes > static_cast<uint64_t>(end - p)) return malformed();
  const char* entries_end = end - offsets_bytes;
  block->offsets_begin_ = static_cast<uint32_t>(entries_end - begin);

  // The entries must stand one behind the other, filling the space up to the offsets, and in their order:
  // searches, scans and merges go by it.
  const uint64_t fixed = 8 + (kind == SegmentKind::kHistory ? Versionstamp::kBytes : 0);
  std::string_view before;
  for (uint32_t i = 0; i < block->count_; ++i) {
    if (block->entry_offset(i) != static_cast<uint64_t>(p - begin)) return malformed();
    uint64_t suffix_size, meta;
    if ((p = load_varint(p, entries_end, &suffix_size)) == nullptr) return malformed();
    if ((p = load_varint(p, entries_end, &meta)) == nullptr) return malformed();
    const uint64_t room = static_cast<uint64_t>(entries_end - p);
    const uint64_t tail = (meta & 2) != 0 ? 2 : 0;
    const uint64_t value_size = meta >> 2;
    if (suffix_size > room || value_size > room || suffix_size + value_size + fixed + tail > room)
      return malformed();
    if ((meta & 1) != 0 && value_size > 0) return malformed();
    const std::string_view suffix(p, suffix_size);
    p += suffix_size + value_size + fixed + tail;
    const int order = i == 0 ? -1 : before.compare(suffix);
    if (order > 0 || (order == 0 && kind == SegmentKind::kLive)) return malformed();
    if (order == 0 && block->entry(i - 1).stamp <= block->entry(i).stamp) return malformed();
    if (kind == SegmentKind::kHistory && block->entry(i).superseded <= block->entry(i).stamp)
      return malformed();
    before = suffix;
  }
  if (p != entries_end) return malformed();
  return std::shared_ptr<const Block>(std::move(block));
}

uint32_t Block::lower_bound(std::string_view key, Versionstamp stamp) const {
  const std::string_view shared = prefix();
  if (const int c = key.substr(0, shared.size()).compare(shared); c != 0) return c < 0 ? 0 : count_;
  const std::string_view suffix = key.substr(shared.size());
  uint32_t low = 0, high = count_;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const BlockEntry e = entry(middle);
    if (compare_entries(e.key_suffix, e.stamp, suffix, stamp) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void BlockBuilder::add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
                       std::string_view value) {
  TM_CHECK(entries_.empty() || compare_entries(last_key(), last_stamp(), key, stamp) < 0);
  TM_CHECK(!tombstone || value.empty());
  entries_.push_back({arena_.size(), static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size()),
                      stamp, superseded, tombstone});
  arena_.append(key);
  arena_.append(value);
}

std::string BlockBuilder::finish() {
  TM_CHECK(!entries_.empty());
  const size_t prefix_size = common_prefix(key(entries_.front()), key(entries_.back()));
  std::string out;
  out.reserve(arena_.size() + 32 * entries_.size());
  out.push_back(0);
  put_bytes(out, key(entries_.front()).substr(0, prefix_size));
  std::vector<uint32_t> offsets;
  offsets.reserve(entries_.size());
  for (const Pending& e : entries_) {
    offsets.push_back(static_cast<uint32_t>(out.size()));
    put_varint(out, e.key_size - prefix_size);
    put_varint(out, uint64_t{e.value_size} << 2 | (e.stamp.tail != 0 ? 2u : 0u) | (e.tombstone ? 1u : 0u));
    out.append(key(e).substr(prefix_size));
    const auto stamp = e.stamp.bytes();
    out.append(stamp.data(), e.stamp.tail != 0 ? 10 : 8);
    if (kind_ == SegmentKind::kHistory) put_stamp(out, e.superseded);
    out.append(arena_, e.begin + e.key_size, e.value_size);
  }
  TM_CHECK(out.size() <= UINT32_MAX - 4 * entries_.size() - 4);
  if (out.size() <= UINT16_MAX) {
    for (uint32_t offset : offsets) {
      char b[2];
      store_le16(b, static_cast<uint16_t>(offset));
      out.append(b, 2);
    }
  } else {
    out[0] = static_cast<char>(kWideOffsets);
    for (uint32_t offset : offsets) put_le32(out, offset);
  }
  put_le32(out, static_cast<uint32_t>(entries_.size()));
  arena_.clear();
  entries_.clear();
  return out;
}

}  // namespace tidemark
