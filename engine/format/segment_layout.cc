#include "engine/format/segment_layout.h"

#include <lz4.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/mutant.h"
#include "engine/format/block.h"

namespace tidemark {
namespace {

constexpr std::string_view kHeaderMagic = "TIDESEG\n";
constexpr std::string_view kFooterMagic = "TIDESEGE";

enum Codec : uint8_t { kPlain = 0, kLz4 = 1 };  // stored; do not change

// LZ4 cannot expand by more; a larger claim is damage.
constexpr uint64_t kMaxLz4Ratio = 256;

constexpr uint32_t kMaxAccelerationLog = 4;
constexpr uint32_t kMissesPerCloseLook = 32;

std::unexpected<Error> corrupt(const char* what) {
  return fail(ErrorCode::kCorruption, what);
}

uint64_t head_of(std::string_view key, size_t skip) {
  char b[8] = {};
  if (key.size() > skip) std::memcpy(b, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return load_be64(b);
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kHeaderMagic);
  put_le32(out, kSegmentFormatVersion);
  put_le32(out, static_cast<uint32_t>(header.kind));
  put_le64(out, header.salt);
  put_le64(out, xxh3(out));
  TM_CHECK(out.size() == kSegmentHeaderBytes);
  return out;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return corrupt("the file is cut short within its header");
  if (bytes.substr(0, 8) != kHeaderMagic) return corrupt("the file header has a wrong magic");
  if (load_le64(bytes.data() + 24) != xxh3(bytes.substr(0, 24)))
    return corrupt("the file header does not match its checksum");
  const uint32_t version = load_le32(bytes.data() + 8);
  if (version > kSegmentFormatVersion)
    return fail(ErrorCode::kNewerFormat, "segment format version " + std::to_string(version) +
                                             " is newer than this program's " +
                                             std::to_string(kSegmentFormatVersion));
  const uint32_t kind = load_le32(bytes.data() + 12);
  if (kind > 1) return corrupt("the file header names an unknown kind of segment");
  return SegmentHeader{static_cast<SegmentKind>(kind), load_le64(bytes.data() + 16)};
}

bool BlockCompressor::append(std::string& out, std::string_view raw) {
  if (raw.size() > LZ4_MAX_INPUT_SIZE) return false;
  // Looking closely costs several times what skimming does. What is at all likely to get smaller shows even
  // then, and now and then a block is looked at closely all the same.
  const uint32_t step = misses_ % kMissesPerCloseLook;
  const int acceleration = step < kMaxAccelerationLog ? 1 << step : 1 << kMaxAccelerationLog;
  const size_t begin = out.size();
  const int bound = LZ4_compressBound(static_cast<int>(raw.size()));
  bool worth = false;
  out.resize_and_overwrite(begin + 4 + static_cast<size_t>(bound), [&](char* bytes, size_t) {
    store_le32(bytes + begin, static_cast<uint32_t>(raw.size()));
    const int packed =
        LZ4_compress_fast(raw.data(), bytes + begin + 4, static_cast<int>(raw.size()), bound, acceleration);
    worth = packed > 0 && static_cast<size_t>(packed) + 4 <= raw.size() - raw.size() / 8;
    return worth ? begin + 4 + static_cast<size_t>(packed) : begin;
  });
  misses_ = worth ? 0 : misses_ + 1;
  return worth;
}

uint64_t seal_block(std::string& out, std::string_view raw, BlockCompressor* compressor, uint64_t salt,
                    uint64_t offset) {
  const size_t begin = out.size();
  const bool compressed = compressor != nullptr && compressor->append(out, raw);
  if (!compressed) out.append(raw);
  out.push_back(static_cast<char>(compressed ? kLz4 : kPlain));
  put_le64(out, xxh3(std::string_view(out).substr(begin), salt ^ offset));
  return out.size() - begin;
}

Result<std::string> unseal_block(std::string_view sealed, uint64_t salt, uint64_t offset) {
  if (sealed.size() < kBlockTrailerBytes) return corrupt("a block is cut short");
  const std::string_view body = sealed.substr(0, sealed.size() - 8);
  if (load_le64(sealed.data() + body.size()) != xxh3(body, salt ^ offset) &&
      !TM_MUTANT("engine.ignore-checksum"))
    return corrupt("a block does not match its checksum");
  const std::string_view payload = body.substr(0, body.size() - 1);
  switch (static_cast<Codec>(body.back())) {
    case kPlain:
      return std::string(payload);
    case kLz4: {
      if (payload.size() < 4) return corrupt("a compressed block is malformed");
      const uint32_t raw_size = load_le32(payload.data());
      if (raw_size > LZ4_MAX_INPUT_SIZE || raw_size > payload.size() * kMaxLz4Ratio)
        return corrupt("a compressed block is malformed");
      std::string raw(raw_size, '\0');
      const int n = LZ4_decompress_safe(payload.data() + 4, raw.data(), static_cast<int>(payload.size() - 4),
                                        static_cast<int>(raw_size));
      if (n < 0 || static_cast<uint32_t>(n) != raw_size) return corrupt("a compressed block is malformed");
      return raw;
    }
  }
  return corrupt("a block names an unknown codec");
}

std::string encode_segment_footer(const SegmentFooter& footer, uint64_t salt) {
  std::string out;
  for (const BlockPlace& place : {footer.filter, footer.index, footer.properties}) {
    put_le64(out, place.offset);
    put_le64(out, place.size);
  }
  put_le64(out, xxh3(out, salt));
  out += kFooterMagic;
  TM_CHECK(out.size() == kSegmentFooterBytes);
  return out;
}

Result<SegmentFooter> decode_segment_footer(std::string_view bytes, uint64_t salt, uint64_t file_bytes) {
  if (bytes.size() != kSegmentFooterBytes || bytes.substr(56) != kFooterMagic)
    return corrupt("the file does not end in a segment footer");
  if (load_le64(bytes.data() + 48) != xxh3(bytes.substr(0, 48), salt))
    return corrupt("the segment footer does not match its checksum");
  SegmentFooter footer;
  BlockPlace* places[] = {&footer.filter, &footer.index, &footer.properties};
  for (size_t i = 0; i < 3; ++i) {
    places[i]->offset = load_le64(bytes.data() + 16 * i);
    places[i]->size = load_le64(bytes.data() + 16 * i + 8);
    if (places[i]->offset > file_bytes || places[i]->size > file_bytes - places[i]->offset)
      return corrupt("the segment footer points outside of the file");
  }
  return footer;
}

void SegmentIndexBuilder::add(std::string_view last_key, Versionstamp last_stamp, uint64_t sealed_bytes) {
  size_t shared = 0;
  const size_t most = std::min(previous_.size(), last_key.size());
  while (shared < most && previous_[shared] == last_key[shared]) ++shared;
  put_varint(body_, shared);
  put_bytes(body_, last_key.substr(shared));
  put_stamp(body_, last_stamp);
  put_varint(body_, sealed_bytes);
  previous_ = last_key;
  ++count_;
}

std::string SegmentIndexBuilder::finish() const {
  std::string out;
  put_varint(out, count_);
  return out + body_;
}

Result<SegmentIndex> SegmentIndex::parse(std::string_view bytes) {
  ByteReader in(bytes);
  const uint64_t count = in.varint();
  // An entry takes at least 13 bytes: a count beyond that is damage, and must not make us reserve memory.
  if (!in.ok() || count > bytes.size() / 13) return corrupt("a segment index is malformed");
  SegmentIndex index;
  index.places_.reserve(count);
  index.stamps_.reserve(count);
  index.key_begin_.reserve(count + 1);
  index.key_begin_.push_back(0);
  uint64_t offset = kSegmentHeaderBytes;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t shared = in.varint();
    const std::string_view suffix = in.bytes();
    const Versionstamp stamp = read_stamp(in);
    const uint64_t size = in.varint();
    const size_t previous = i == 0 ? 0 : index.key_begin_[i] - index.key_begin_[i - 1];
    if (!in.ok() || shared > previous || size > (uint64_t{1} << 40) || index.keys_.size() > UINT32_MAX / 2)
      return corrupt("a segment index is malformed");
    if (shared > 0) index.keys_.append(index.keys_, index.key_begin_[i - 1], shared);
    index.keys_.append(suffix);
    index.key_begin_.push_back(static_cast<uint32_t>(index.keys_.size()));
    if (i > 0 && compare_entries(index.key(i - 1), index.stamps_.back(), index.key(i), stamp) >= 0)
      return corrupt("a segment index is out of order");
    index.stamps_.push_back(stamp);
    index.places_.push_back({offset, size});
    offset += size;
  }
  if (!in.at_end()) return corrupt("a segment index is malformed");
  if (count > 0) {
    const std::string_view first = index.key(0), last = index.key(count - 1);
    while (index.shared_ < first.size() && index.shared_ < last.size() &&
           first[index.shared_] == last[index.shared_])
      ++index.shared_;
  }
  index.heads_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) index.heads_.push_back(head_of(index.key(i), index.shared_));
  return index;
}

size_t SegmentIndex::find(std::string_view key, Versionstamp stamp) const {
  if (places_.empty()) return 0;
  const std::string_view shared = this->key(0).substr(0, shared_);
  if (const int c = key.substr(0, shared_).compare(shared); c != 0) return c < 0 ? 0 : count();
  const uint64_t head = head_of(key, shared_);
  // Branch-free lower bound over the heads.
  const uint64_t* base = heads_.data();
  size_t n = heads_.size();
  while (n > 1) {
    const size_t half = n / 2;
    base += base[half - 1] < head ? half : 0;
    n -= half;
  }
  size_t i = static_cast<size_t>(base - heads_.data()) + (*base < head ? 1 : 0);
  // Among equal heads: binary search by the whole entry.
  size_t end = i;
  while (end < heads_.size() && heads_[end] == head) ++end;
  while (i < end) {
    const size_t middle = (i + end) / 2;
    if (compare_entries(this->key(middle), stamps_[middle], key, stamp) < 0)
      i = middle + 1;
    else
      end = middle;
  }
  return i;
}

bool SegmentIndex::agrees(size_t i, const Block& block, SegmentKind kind) const {
  const BlockEntry first = block.entry(0), last = block.entry(block.count() - 1);
  const auto compare = [&](const BlockEntry& entry, std::string_view key) {
    return std::string(block.prefix()).append(entry.key_suffix).compare(key);
  };
  if (compare(last, key(i)) != 0 || last.stamp != stamps_[i]) return false;
  if (i == 0) return true;
  const int order = compare(first, key(i - 1));
  return order > 0 || (order == 0 && kind == SegmentKind::kHistory && first.stamp < stamps_[i - 1]);
}

size_t SegmentIndex::memory_bytes() const {
  return keys_.capacity() + key_begin_.capacity() * 4 + heads_.capacity() * 8 +
         stamps_.capacity() * sizeof(Versionstamp) + places_.capacity() * sizeof(BlockPlace);
}

}  // namespace tidemark
