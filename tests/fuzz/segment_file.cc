// A store with a segment whose bytes are the fuzzer's, described by the manifest as it describes itself.
//
// First two bytes: how the store is used. Third: bit 0: the rest is the file as it is, else its parts are
// what it is put together from, with right checksums. Bit 1: a history segment. Bits 2 to 4: its level, if
// live.
#include "engine/format/block.h"
#include "engine/format/file_names.h"
#include "engine/format/filter.h"
#include "engine/format/segment_layout.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/store.h"

namespace tidemark::fuzz {
namespace {

// First byte of a part, its low two bits: a block's raw bytes, or those of the index, the filter or the
// properties, which are made to fit the blocks if there is no such part.
enum Kind : uint8_t { kBlock = 0, kIndex = 1, kFilter = 2, kProperties = 3, kCompressed = 4 };

// Describes the blocks as a writer would, as far as they can be understood.
class Describer {
 public:
  explicit Describer(SegmentKind kind) {
    meta_.number = kFreeNumber;
    meta_.kind = kind;
    meta_.min_stamp = Versionstamp::max();
    if (kind == SegmentKind::kHistory) meta_.min_superseded = Versionstamp::max();
  }

  void add(std::string_view raw, uint64_t sealed_bytes) {
    std::string last_key = meta_.largest_key;
    Versionstamp last_stamp;
    if (const auto block = Block::parse(std::string(raw), meta_.kind)) {
      for (uint32_t i = 0; i < (*block)->count(); ++i) {
        const BlockEntry entry = (*block)->entry(i);
        last_key = std::string((*block)->prefix()).append(entry.key_suffix);
        last_stamp = entry.stamp;
        add(last_key, entry);
      }
    }
    index_.add(last_key, last_stamp, sealed_bytes);
  }
  std::string index() const { return index_.finish(); }
  std::string filter() const { return build_filter(hashes_, 10); }
  const SegmentMeta& meta() const { return meta_; }

 private:
  void add(const std::string& key, const BlockEntry& entry) {
    if (meta_.entries == 0 || key < meta_.smallest_key) meta_.smallest_key = key;
    if (meta_.entries == 0 || key > meta_.largest_key) meta_.largest_key = key;
    ++meta_.entries;
    if (entry.tombstone) ++meta_.tombstones;
    meta_.min_stamp = std::min(meta_.min_stamp, entry.stamp);
    meta_.max_stamp = std::max(meta_.max_stamp, entry.stamp);
    if (meta_.kind == SegmentKind::kHistory) {
      meta_.min_superseded = std::min(meta_.min_superseded, entry.superseded);
      meta_.max_superseded = std::max(meta_.max_superseded, entry.superseded);
    }
    hashes_.push_back(filter_hash(key));
  }

  SegmentMeta meta_;
  SegmentIndexBuilder index_;
  std::vector<uint64_t> hashes_;
};

std::string assemble(std::string_view bytes, SegmentKind kind) {
  constexpr uint64_t kSalt = 77;
  std::string file = encode_segment_header({kind, kSalt});
  Describer describer(kind);
  BlockCompressor compressor;
  std::optional<std::string_view> said[4];
  for (const std::string_view part : split(bytes)) {
    Input in(part);
    const uint8_t form = in.u8();
    if ((form & 3) != kBlock) {
      said[form & 3] = in.rest();
      continue;
    }
    const uint64_t size =
        seal_block(file, in.rest(), (form & kCompressed) != 0 ? &compressor : nullptr, kSalt, file.size());
    describer.add(in.rest(), size);
  }
  std::string properties;
  put_segment_meta(properties, describer.meta());
  const auto put = [&](std::optional<std::string_view> instead, const std::string& raw) {
    const uint64_t offset = file.size();
    return BlockPlace{offset, seal_block(file, instead.value_or(raw), nullptr, kSalt, offset)};
  };
  SegmentFooter footer;
  footer.filter = put(said[kFilter], describer.filter());
  footer.index = put(said[kIndex], describer.index());
  footer.properties = put(said[kProperties], properties);
  return file + encode_segment_footer(footer, kSalt);
}

// What a segment says of itself, if that much of it can be read.
std::optional<SegmentMeta> self_description(std::string_view file) {
  const auto header = decode_segment_header(file);
  if (!header || file.size() < kSegmentHeaderBytes + kSegmentFooterBytes) return std::nullopt;
  const auto footer =
      decode_segment_footer(file.substr(file.size() - kSegmentFooterBytes), header->salt, file.size());
  if (!footer) return std::nullopt;
  const BlockPlace place = footer->properties;
  const auto properties = unseal_block(file.substr(place.offset, place.size), header->salt, place.offset);
  if (!properties) return std::nullopt;
  ByteReader in(*properties);
  SegmentMeta meta = read_segment_meta(in);
  if (!in.ok()) return std::nullopt;
  meta.file_bytes = file.size();
  return meta;
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::fuzz;
  Input input(data, size);
  const Usage usage{input.u16()};
  const uint8_t form = input.u8();
  const SegmentKind kind = (form & 2) != 0 ? SegmentKind::kHistory : SegmentKind::kLive;
  const std::string file = (form & 1) != 0 ? std::string(input.rest()) : assemble(input.rest(), kind);

  ManifestState state = seed_store().state;
  state.next_file_number = 2 * kFreeNumber;
  PlacedSegment segment;
  segment.meta.number = kFreeNumber;
  segment.meta.kind = kind;
  if (auto meta = self_description(file)) segment.meta = std::move(*meta);
  segment.meta.file_bytes = file.size();
  segment.place = segment.meta.kind == SegmentKind::kHistory ? kFreeNumber : (form >> 2) % kLevels;
  // Not in place of one of the seed's, and where nothing else of the level lies.
  ManifestEdit edit;
  edit.added_segments = {segment};
  if (!state.apply(edit)) return 0;
  MemoryFileSystem files = store_with(state);
  files.put(path_of(FileType::kSegment, segment.meta.number), file);
  Machine machine(files);
  use_store(machine, usage, false);
  return 0;
}
