// A change file whose bytes are the fuzzer's: read whole, asked for moments, and as part of a store whose
// horizon moves by it.
//
// First two bytes: how the store is used. Third: odd, and the rest is the file as it is; even, and its parts
// are what it is put together from, with right checksums.
#include "engine/changes/change_file.h"

#include "engine/format/file_names.h"
#include "engine/format/segment_layout.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/store.h"

namespace tidemark::fuzz {
namespace {

// First byte of a part, its low two bits: a block's raw bytes; the raw index, made to fit the blocks if there
// is none; what the manifest says of the file, likewise. Else it is ignored.
enum Kind : uint8_t { kBlock = 0, kIndex = 1, kMeta = 2, kCompressed = 4 };

class Collector final : public ChangeVisitor {
 public:
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    if (meta.commits++ == 0) {
      meta.first_stamp = stamp;
      meta.first_timestamp_ms = timestamp_ms;
    }
    meta.last_stamp = stamp;
    meta.last_timestamp_ms = timestamp_ms;
  }
  void on_write(WriteKind, std::string_view) override {}

  ChangeFileMeta meta;
};

std::string assemble(std::string_view bytes, ChangeFileMeta& meta) {
  constexpr uint64_t kSalt = 77;
  std::string file = encode_change_header(kSalt);
  std::vector<ChangeBlockIndex> index;
  std::optional<std::string_view> said[4];
  Collector all;
  BlockCompressor compressor;
  for (const std::string_view part : split(bytes)) {
    Input in(part);
    const uint8_t form = in.u8();
    if ((form & 3) != kBlock) {
      said[form & 3] = in.rest();
      continue;
    }
    Collector block;
    (void)visit_change_block(in.rest(), block).has_value();
    (void)visit_change_block(in.rest(), all).has_value();
    index.push_back({file.size(), 0, block.meta.first_stamp, block.meta.first_timestamp_ms});
    index.back().size =
        seal_block(file, in.rest(), (form & kCompressed) != 0 ? &compressor : nullptr, kSalt, file.size());
  }
  meta = all.meta;
  if (said[kMeta]) {
    ByteReader in(*said[kMeta]);
    const ChangeFileMeta read = read_change_file_meta(in);
    if (in.ok()) meta = read;
  }
  const uint64_t offset = file.size();
  const std::string raw = said[kIndex] ? std::string(*said[kIndex]) : encode_change_index(index);
  const uint64_t size = seal_block(file, raw, &compressor, kSalt, offset);
  return file + encode_change_footer(offset, size, kSalt);
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::fuzz;
  Input input(data, size);
  const Usage usage{input.u16()};
  const bool raw = input.u8() % 2 == 1;
  ManifestState state = seed_store().state;
  state.next_file_number = 2 * kFreeNumber;
  // In the file's place the seed's own describe what was before and after.
  ChangeFileMeta meta = state.changes.empty() ? ChangeFileMeta{} : state.changes.rbegin()->second;
  const std::string file = raw ? std::string(input.rest()) : assemble(input.rest(), meta);
  meta.number = kFreeNumber;
  meta.file_bytes = file.size();
  state.changes[kFreeNumber] = meta;
  MemoryFileSystem files = store_with(state);
  files.put(path_of(FileType::kChanges, kFreeNumber), file);

  if (const auto reader = ChangeFileReader::open(files, path_of(FileType::kChanges, kFreeNumber), meta);
      !reader) {
    check_damage(reader.error());
  } else {
    Collector collector;
    if (const Status visited = (*reader)->visit(collector); !visited) check_damage(visited.error());
    for (const int64_t ms :
         {INT64_MIN, int64_t{0}, meta.first_timestamp_ms, meta.last_timestamp_ms, INT64_MAX})
      if (const auto floor = (*reader)->floor(Versionstamp::max(), ms); !floor) check_damage(floor.error());
  }
  Machine machine(files);
  use_store(machine, usage, false);
  return 0;
}
