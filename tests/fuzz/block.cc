// The parts of a segment: blocks, sealed and not, the index, the filter, the properties, header and footer.
//
// What is read must be read as the same when it is written again. A block that is accepted is one that a
// segment may hold: its entries are in their order, and they can be found.
#include "engine/format/block.h"

#include "engine/format/filter.h"
#include "engine/format/segment_layout.h"
#include "tests/fuzz/input.h"

namespace tidemark::fuzz {
namespace {

std::string key_of(const Block& block, const BlockEntry& entry) {
  return std::string(block.prefix()).append(entry.key_suffix);
}

bool same(const BlockEntry& a, const BlockEntry& b) {
  return a.value == b.value && a.stamp == b.stamp && a.superseded == b.superseded &&
         a.tombstone == b.tombstone;
}

void read_block(std::string_view bytes, SegmentKind kind) {
  const auto parsed = Block::parse(std::string(bytes), kind);
  if (!parsed) {
    TM_CHECK(parsed.error().code == ErrorCode::kCorruption);
    return;
  }
  const Block& block = **parsed;
  TM_CHECK(block.count() > 0 && block.memory_bytes() <= sizeof(Block) + bytes.size() + 64);
  BlockBuilder builder(kind);
  for (uint32_t i = 0; i < block.count(); ++i) {
    const BlockEntry entry = block.entry(i);
    const std::string key = key_of(block, entry);
    TM_CHECK(block.lower_bound(key, entry.stamp) == i);
    TM_CHECK(kind == SegmentKind::kLive || entry.superseded > entry.stamp);
    TM_CHECK(kind == SegmentKind::kHistory || i == 0 || key != key_of(block, block.entry(i - 1)));
    builder.add(key, entry.stamp, entry.superseded, entry.tombstone, entry.value);  // checks the order
  }
  const auto again = Block::parse(builder.finish(), kind);
  TM_CHECK(again.has_value() && (*again)->count() == block.count());
  for (uint32_t i = 0; i < block.count(); ++i) {
    const BlockEntry a = block.entry(i), b = (*again)->entry(i);
    TM_CHECK(key_of(block, a) == key_of(**again, b) && same(a, b));
  }
}

void read_sealed(std::string_view bytes) {
  constexpr uint64_t kSalt = 77, kOffset = 4096;
  // The input with a checksum that vouches for it.
  std::string sealed(bytes);
  put_le64(sealed, xxh3(sealed, kSalt ^ kOffset));
  const Exact exact(sealed);
  const auto raw = unseal_block(exact.view(), kSalt, kOffset);
  TM_CHECK(!unseal_block(exact.view(), kSalt, kOffset + 8).has_value());
  if (!raw) {
    TM_CHECK(raw.error().code == ErrorCode::kCorruption);
    return;
  }
  TM_CHECK(raw->size() <= 256 * sealed.size());
  for (const bool compress : {false, true}) {
    std::string again;
    BlockCompressor compressor;
    const uint64_t size = seal_block(again, *raw, compress ? &compressor : nullptr, kSalt, kOffset);
    TM_CHECK(size == again.size() && size <= raw->size() + kBlockTrailerBytes);
    const auto back = unseal_block(again, kSalt, kOffset);
    TM_CHECK(back.has_value() && *back == *raw);
  }
}

void read_index(std::string_view bytes) {
  const Exact exact(bytes);
  const auto index = SegmentIndex::parse(exact.view());
  if (!index) {
    TM_CHECK(index.error().code == ErrorCode::kCorruption);
    return;
  }
  Versionstamp newest = Versionstamp::max();
  for (size_t i = 0; i < index->count(); ++i) {
    const BlockPlace place = index->place(i);
    TM_CHECK(place.offset ==
             (i == 0 ? kSegmentHeaderBytes : index->place(i - 1).offset + index->place(i - 1).size));
    TM_CHECK(index->find(index->last_key(i), newest) <= i);
    TM_CHECK(i == 0 || index->last_key(i) >= index->last_key(i - 1));
  }
  TM_CHECK(index->find("", newest) == 0);
  for (const std::string_view key : {std::string_view("a"), bytes, bytes.substr(bytes.size() / 2)})
    TM_CHECK(index->find(key, newest) <= index->find(key, Versionstamp::min()) &&
             index->find(key, Versionstamp::min()) <= index->count());
}

// The index that a writer makes of these keys finds each of them.
void write_index(std::string_view bytes) {
  std::vector<std::string_view> keys = split(bytes);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  SegmentIndexBuilder builder;
  for (size_t i = 0; i < keys.size(); ++i) builder.add(keys[i], {i, 1}, 100 + i);
  const auto index = SegmentIndex::parse(builder.finish());
  TM_CHECK(index.has_value() && index->count() == keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    TM_CHECK(index->find(keys[i], {i, 1}) == i && index->find(keys[i], Versionstamp::max()) == i);
    TM_CHECK(index->find(keys[i], Versionstamp::min()) == i + 1 && index->place(i).size == 100 + i);
  }
}

void read_filter(Input input) {
  const int bits = input.u8() % 32;
  std::vector<uint64_t> hashes;
  for (const std::string_view key : split(input.rest())) hashes.push_back(filter_hash(key));
  const std::string filter = build_filter(hashes, bits);
  for (const uint64_t hash : hashes) TM_CHECK(filter_may_contain(filter, hash));
  const Exact exact(input.rest());
  for (const uint64_t hash : hashes) (void)filter_may_contain(exact.view(), hash);
}

void read_rest(std::string_view bytes) {
  const Exact exact(bytes);
  ByteReader in(exact.view());
  const SegmentMeta meta = read_segment_meta(in);
  if (in.ok()) {
    std::string again;
    put_segment_meta(again, meta);
    ByteReader second(again);
    TM_CHECK(read_segment_meta(second) == meta && second.ok() && second.at_end());
  }
  if (const auto header = decode_segment_header(exact.view())) {
    const auto again = decode_segment_header(encode_segment_header(*header));
    TM_CHECK(again.has_value() && again->salt == header->salt && again->kind == header->kind);
  }
  Input fields(exact.view());
  const uint64_t salt = fields.u64(), file_bytes = fields.u64();
  SegmentFooter footer;
  bool fits = true;
  for (BlockPlace* place : {&footer.filter, &footer.index, &footer.properties}) {
    *place = {fields.u64(), fields.u64()};
    fits &= place->offset <= file_bytes && place->size <= file_bytes - place->offset;
  }
  const auto back = decode_segment_footer(encode_segment_footer(footer, salt), salt, file_bytes);
  TM_CHECK(back.has_value() == fits);
  if (back) TM_CHECK(encode_segment_footer(*back, salt) == encode_segment_footer(footer, salt));
  (void)decode_segment_footer(fields.rest(), salt, file_bytes).has_value();
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  Input input(data, size);
  switch (input.u8() % 7) {
    case 0:
      read_block(input.rest(), tidemark::SegmentKind::kLive);
      break;
    case 1:
      read_block(input.rest(), tidemark::SegmentKind::kHistory);
      break;
    case 2:
      read_sealed(input.rest());
      break;
    case 3:
      read_index(input.rest());
      break;
    case 4:
      write_index(input.rest());
      break;
    case 5:
      read_filter(input);
      break;
    default:
      read_rest(input.rest());
      break;
  }
  return 0;
}
