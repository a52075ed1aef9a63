// Writes inputs for the fuzz targets to begin with, made by the real encoders: make_seeds FOLDER leaves
// FOLDER/TARGET/NN.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

#include "engine/base/base64.h"
#include "engine/base/random.h"
#include "engine/format/block.h"
#include "engine/format/file_names.h"
#include "engine/format/filter.h"
#include "engine/format/segment_layout.h"
#include "engine/format/wal_payload.h"
#include "engine/log/log_file_reader.h"
#include "server/backup/index.h"
#include "server/backup/log_object.h"
#include "server/backup/snapshot_object.h"
#include "server/connect/wire.h"
#include "server/http/preface.h"
#include "server/kv/json_text.h"
#include "server/kv/stored_value.h"
#include "server/kv/v8_format.h"
#include "server/kv/v8_number.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/records.h"
#include "tests/fuzz/server.h"
#include "tests/fuzz/store.h"

namespace tidemark::fuzz {
namespace {

namespace pb = connect::pb;

class Seeds {
 public:
  explicit Seeds(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void add(const std::string& target, const std::string& bytes) {
    std::filesystem::create_directories(folder_ / target);
    char name[16];
    std::snprintf(name, sizeof name, "%02d", count_[target]++);
    std::ofstream(folder_ / target / name, std::ios::binary) << bytes;
  }
  // Picks fields, frames or uses at random.
  void add_noise(const std::string& target, const std::string& before, int count) {
    Random random(count_[target] + 1);
    for (int i = 0; i < count; ++i) {
      std::string noise = before;
      for (uint64_t size = random.below(100); size > 0; --size) {
        if (random.one_in(16)) noise += kMark;
        noise.push_back(static_cast<char>(random.next()));
      }
      add(target, noise);
    }
  }

 private:
  const std::filesystem::path folder_;
  std::map<std::string, int> count_;
};

std::string byte(int value) {
  return std::string(1, static_cast<char>(value));
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) out += (i > 0 ? std::string(kMark) : std::string()) + parts[i];
  return out;
}

std::string some_block(SegmentKind kind, int entries) {
  BlockBuilder builder(kind);
  for (int i = 0; i < entries; ++i) {
    const bool tombstone = i % 5 == 3;
    builder.add("key/" + std::to_string(10 + i / 2),
                {uint64_t{200} - static_cast<uint64_t>(i % 2), static_cast<uint16_t>(i % 3)},
                kind == SegmentKind::kHistory ? Versionstamp{300, 1} : Versionstamp::max(), tombstone,
                tombstone ? "" : std::string(static_cast<size_t>(i % 7) * 3, 'v'));
  }
  return builder.finish();
}

std::string some_group(uint64_t first, int commits) {
  std::string payload;
  begin_group(payload);
  for (int i = 0; i < commits; ++i) {
    const size_t at = payload.size();
    payload.resize(at + kWalCommitHeaderBytes);
    put_wal_write(payload, WriteKind::kPut, "key/" + byte('a' + i % 26), "value " + std::to_string(i));
    put_wal_write(payload, WriteKind::kTombstone, "key/c", {});
    store_wal_commit(payload.data() + at, {first + static_cast<uint64_t>(i), 0}, 1'700'000'100'000 + i, 2);
  }
  return payload;
}

void make_formats(Seeds& seeds) {
  for (const int entries : {1, 2, 12}) {
    seeds.add("block", byte(0) + some_block(SegmentKind::kLive, entries));
    seeds.add("block", byte(1) + some_block(SegmentKind::kHistory, entries));
  }
  for (const bool compress : {false, true}) {
    std::string sealed;
    BlockCompressor compressor;
    seal_block(sealed, some_block(SegmentKind::kHistory, 40), compress ? &compressor : nullptr, 1, 2);
    seeds.add("block", byte(2) + sealed.substr(0, sealed.size() - 8));
  }
  SegmentIndexBuilder index;
  for (int i = 0; i < 5; ++i) index.add("key/" + std::to_string(i), {7, 1}, 100);
  seeds.add("block", byte(3) + index.finish());
  seeds.add("block", byte(4) + join({"a", "ab", "b", "", "key/1", "key/2"}));
  seeds.add("block", byte(5) + byte(10) + join({"a", "ab", "b", "key/1", "key/2"}));
  const SegmentMeta meta{12, SegmentKind::kHistory, 4096, 100, 3, "a", "z", {1, 0}, {9, 1}, {2, 0}, {10, 0}};
  std::string properties;
  put_segment_meta(properties, meta);
  seeds.add("block", byte(6) + properties);
  seeds.add("block", byte(6) + encode_segment_header({SegmentKind::kHistory, 99}));
  seeds.add("block", byte(6) + encode_segment_footer({{32, 100}, {132, 50}, {182, 60}}, 99));

  seeds.add("wal_record", byte(0) + some_group(5, 3));
  seeds.add("wal_record", byte(0) + encode_ingest({{77, 3}, 12345, {meta, meta}, {}, {}}));
  seeds.add("wal_record", byte(0) + byte(3));
  seeds.add("wal_record", byte(0) + byte(4) + some_group(5, 1));
  seeds.add("wal_record",
            byte(1) + join({byte(0) + some_group(5, 1), byte(0), byte(3) + "torn", byte(16) + "spoiled"}));

  ManifestEdit edit;
  edit.epoch = 1;
  edit.next_file_number = 20;
  edit.oldest_wal = 3;
  edit.newest_wal = 4;
  edit.flushed_stamp = Versionstamp{5, 6};
  edit.flushed_timestamp_ms = -1;
  edit.horizon = Versionstamp{4, 0};
  edit.retention_clock_ms = 12345;
  const std::string fields = encode_manifest_edit(edit);
  ManifestEdit files;
  files.added_segments = {{3, meta}, {1, {13, SegmentKind::kLive, 10, 1, 0, "a", "b", {}, {}, {}, {}}}};
  files.added_changes = {{7, 8, 9, {1, 0}, {2, 0}, -5, 6}};
  ManifestEdit removal;
  removal.removed_segments = {12};
  removal.removed_changes = {7};
  ManifestEdit all = edit;
  all.snapshot = true;
  all.added_segments = files.added_segments;
  seeds.add("manifest_record", join({encode_manifest_edit(all), fields}));
  seeds.add("manifest_record", join({fields, encode_manifest_edit(files), encode_manifest_edit(removal)}));

  ChangeBlockBuilder block;
  for (uint64_t i = 1; i < 5; ++i) {
    block.begin_commit({i * 5, static_cast<uint16_t>(i % 2)}, static_cast<int64_t>(i) * 1000, 2);
    block.add_write(WriteKind::kPut, "key/" + std::to_string(i));
    block.add_write(WriteKind::kTombstone, "key/" + std::to_string(i * 10));
  }
  seeds.add("change_record", byte(0) + block.finish());
  seeds.add("change_record", byte(1) + encode_change_index({{32, 10, {1, 2}, 3}, {42, 11, {4, 5}, 6}}));
  seeds.add("change_record", byte(2) + encode_change_header(77));
  std::string numbers;
  for (const uint64_t n : {77, 200, 100, 50}) put_le64(numbers, n);
  seeds.add("change_record", byte(2) + numbers + encode_change_footer(100, 50, 77));
}

std::vector<std::string> payloads_of(FileSystem& fs, LogKind kind, FileType type, uint64_t number) {
  std::vector<std::string> payloads;
  auto reader = LogFileReader::open(fs, path_of(type, number), kind, kDatabaseId, number);
  TM_CHECK(reader.has_value());
  while (true) {
    const auto record = reader->next(std::nullopt);
    TM_CHECK(record.has_value());
    if (!*record) return payloads;
    payloads.emplace_back((*record)->payload);
  }
}

std::string use(int bits, int form) {
  return byte(bits & 255) + byte(bits >> 8) + byte(form);
}

// A segment of the seed store, as the parts that segment_file puts together again.
std::string segment_parts(std::string_view file) {
  const auto header = decode_segment_header(file);
  const auto footer =
      decode_segment_footer(file.substr(file.size() - kSegmentFooterBytes), header->salt, file.size());
  TM_CHECK(footer.has_value());
  const auto raw = [&](BlockPlace place) {
    auto bytes = unseal_block(file.substr(place.offset, place.size), header->salt, place.offset);
    TM_CHECK(bytes.has_value());
    return *bytes;
  };
  const auto index = SegmentIndex::parse(raw(footer->index));
  TM_CHECK(index.has_value());
  std::vector<std::string> parts;
  for (size_t i = 0; i < index->count(); ++i)
    parts.push_back(byte(i % 2 == 0 ? 0 : 4) + raw(index->place(i)));
  return join(parts);
}

std::string change_parts(std::string_view file) {
  const auto salt = decode_change_header(file);
  const auto footer = decode_change_footer(file.substr(file.size() - kChangeFooterBytes), *salt, file.size());
  TM_CHECK(footer.has_value());
  const auto raw = [&](uint64_t offset, uint64_t size) {
    auto bytes = unseal_block(file.substr(offset, size), *salt, offset);
    TM_CHECK(bytes.has_value());
    return *bytes;
  };
  const auto index = decode_change_index(raw(footer->index_offset, footer->index_size));
  TM_CHECK(index.has_value());
  std::vector<std::string> parts;
  for (const ChangeBlockIndex& block : *index) parts.push_back(byte(0) + raw(block.offset, block.size));
  return join(parts);
}

void make_files(Seeds& seeds) {
  const SeedStore& seed = seed_store();
  MemoryFileSystem files(seed.files);
  const uint64_t next = seed.state.flushed_stamp.number + 1;
  const int bits[] = {0,
                      Usage::kRetentionNone | Usage::kMergeEagerly,
                      Usage::kRetentionShort | Usage::kTimePasses,
                      Usage::kFlush | Usage::kWriteFirst,
                      Usage::kCompact | Usage::kCrash,
                      Usage::kNoHistory | Usage::kMergeHistory};
  for (const int b : bits) {
    std::vector<std::string> parts;
    for (const std::string& payload :
         payloads_of(files, LogKind::kWal, FileType::kWal, seed.state.newest_wal))
      parts.push_back(byte(1) + payload);
    parts.push_back(byte(0) + some_group(next + 100, 2));
    seeds.add("wal_file", use(b, 0) + join(parts));
    parts.push_back(byte(16) + byte(4) + some_group(next + 200, 2));
    parts.push_back(byte(2) + some_group(next + 300, 1));
    parts.push_back(byte(128) + "a torn tail");
    seeds.add("wal_file", use(b, 0) + join(parts));

    parts.clear();
    for (const std::string& payload :
         payloads_of(files, LogKind::kManifest, FileType::kManifest, seed.manifest_number))
      parts.push_back(byte(0) + payload);
    seeds.add("manifest_file", use(b, 0) + join(parts));
    seeds.add("manifest_file", use(b, 0) + byte(0) + encode_manifest_edit(seed.state.as_snapshot()));

    for (const auto& [number, segment] : seed.state.segments) {
      const std::string parts_of_it = segment_parts(files.bytes(path_of(FileType::kSegment, number)));
      const bool history = segment.meta.kind == SegmentKind::kHistory;
      seeds.add("segment_file", use(b, history ? 2 : 0) + parts_of_it);
      if (!history) seeds.add("segment_file", use(b, 4 * 5) + parts_of_it);
    }
    for (const auto& [number, meta] : seed.state.changes)
      seeds.add("change_file", use(b, 0) + change_parts(files.bytes(path_of(FileType::kChanges, number))));
  }
  std::string log = log_header(LogKind::kWal, kFreeNumber);
  add_record(log, LogKind::kWal, kFreeNumber, some_group(next + 100, 2), {log.size()});
  add_record(log, LogKind::kWal, kFreeNumber, some_group(next + 200, 1), {log.size()});
  seeds.add("wal_file", use(0, 1) + log + std::string(64, '\0'));
  seeds.add("manifest_file",
            use(0, 1) + files.bytes(path_of(FileType::kManifest, seed.manifest_number)).substr(0, 2000));
  seeds.add("manifest_file", use(0, 2) + files.bytes(path_of(FileType::kCurrent, 0)));
  const auto& [segment, placed] = *seed.state.segments.begin();
  seeds.add("segment_file", use(0, 1) + files.bytes(path_of(FileType::kSegment, segment)));
  const auto& [change, meta] = *seed.state.changes.begin();
  seeds.add("change_file", use(0, 1) + files.bytes(path_of(FileType::kChanges, change)));
}

// What no writer writes, under checksums that are right.
void make_hostile_files(Seeds& seeds) {
  const SeedStore& seed = seed_store();
  constexpr uint64_t kMaxNumber = std::numeric_limits<uint64_t>::max();
  constexpr int64_t kMinMs = std::numeric_limits<int64_t>::min(),
                    kMaxMs = std::numeric_limits<int64_t>::max();
  const uint64_t next = seed.state.flushed_stamp.number + 1'000'000;
  struct Write {
    std::string key;
    std::string value;
  };
  const auto commit = [](Versionstamp stamp, int64_t timestamp_ms, const std::vector<Write>& writes) {
    std::string payload;
    begin_group(payload);
    payload.resize(payload.size() + kWalCommitHeaderBytes);
    store_wal_commit(payload.data() + 1, stamp, timestamp_ms, static_cast<uint32_t>(writes.size()));
    for (const Write& write : writes) put_wal_write(payload, WriteKind::kPut, write.key, write.value);
    return payload;
  };
  const auto wal = [&](const std::vector<std::string>& payloads) {
    std::vector<std::string> parts;
    for (const std::string& payload : payloads) parts.push_back(byte(0) + payload);
    for (const int bits : {0, Usage::kFlush | Usage::kCrash})
      seeds.add("wal_file", use(bits, 0) + join(parts));
  };
  constexpr int64_t kMs = 1'700'000'100'000;
  wal({commit({next, 0}, kMs, {{"k", "1"}, {"k", "2"}, {"j", "3"}, {"k", "4"}})});
  std::vector<Write> repeated;
  for (int i = 0; i < 40; ++i) repeated.push_back({i % 4 == 0 ? "j" : "k", std::to_string(i)});
  wal({commit({next, 0}, kMs, repeated)});
  wal({commit({kMaxNumber, 0}, kMs, {{"k", "1"}})});
  wal({commit({kMaxNumber, UINT16_MAX}, kMs, {{"k", "1"}})});
  wal({commit({next, 1}, kMaxMs, {{"k", "1"}})});
  wal({commit({next, 1}, kMinMs, {{"k", "1"}})});
  wal({commit({next, 0}, kMs, {}), encode_ingest({{next + 5, 3}, kMs, {}, {}, {}}),
       commit({next + 6, 0}, kMs, {{"k", "1"}})});
  std::vector<SegmentMeta> metas;
  for (const auto& [number, segment] : seed.state.segments) metas.push_back(segment.meta);
  wal({encode_ingest({{next, 0}, kMs, metas, {}, Versionstamp{next, 0}})});
  wal({byte(4) + byte(4) + byte(3)});
  wal({byte(4) + byte(3)});

  const auto manifest = [&](auto&& change) {
    ManifestState state = seed.state;
    change(state);
    for (const int bits : {0, Usage::kMergeEagerly | Usage::kMergeHistory | Usage::kFlush})
      seeds.add("manifest_file", use(bits, 0) + byte(0) + encode_manifest_edit(state.as_snapshot()));
  };
  for (const uint64_t epoch : {uint64_t{0}, uint64_t{128}, kMaxNumber})
    manifest([&](ManifestState& s) { s.epoch = epoch; });
  for (const uint64_t number : {kMaxNumber, kMaxNumber - 2})
    manifest([&](ManifestState& s) { s.next_file_number = number; });
  manifest([&](ManifestState& s) { s.flushed_stamp = Versionstamp::max(); });
  manifest([&](ManifestState& s) { s.flushed_timestamp_ms = kMaxMs; });
  manifest([&](ManifestState& s) { s.flushed_timestamp_ms = kMinMs; });
  manifest([&](ManifestState& s) { s.horizon = Versionstamp::max(); });
  for (const int64_t ms : {kMinMs, kMaxMs}) manifest([&](ManifestState& s) { s.retention_clock_ms = ms; });
  manifest([&](ManifestState& s) { s.newest_wal = 0; });
  manifest([&](ManifestState& s) { s.oldest_wal = s.newest_wal + 1; });
  manifest([&](ManifestState& s) { s.oldest_wal = 0; });
  for (const auto& [number, placed] : seed.state.segments) {
    manifest([&](ManifestState& s) { s.segments[number].place = placed.place == 0 ? 3 : 0; });
    manifest([&](ManifestState& s) { s.segments[number].meta.file_bytes = kMaxNumber; });
    manifest([&](ManifestState& s) {
      std::swap(s.segments[number].meta.smallest_key, s.segments[number].meta.largest_key);
    });
    manifest([&](ManifestState& s) {
      s.segments[number].meta.kind = static_cast<SegmentKind>(1 - static_cast<int>(placed.meta.kind));
    });
    manifest([&](ManifestState& s) { s.segments.erase(number); });
  }
  manifest([&](ManifestState& s) {
    for (auto& [number, placed] : s.segments)
      if (placed.meta.kind == SegmentKind::kHistory) placed.place = 7;  // one run, overlapping
  });
  for (const auto& [number, meta] : seed.state.changes) {
    manifest([&](ManifestState& s) { s.changes[number].first_timestamp_ms = kMaxMs; });
    manifest([&](ManifestState& s) { s.changes[number].last_timestamp_ms = kMinMs; });
    manifest([&](ManifestState& s) { s.changes[number].file_bytes = 7; });
  }

  // Blocks out of order, index and description made to fit as far as they can.
  const auto block = [](SegmentKind kind, const std::vector<std::string>& keys, uint64_t stamp) {
    BlockBuilder builder(kind);
    for (const std::string& key : keys) builder.add(key, {stamp, 0}, {stamp + 10, 0}, false, "v" + key);
    return byte(0) + builder.finish();
  };
  for (const int bits :
       {0, Usage::kMergeEagerly | Usage::kMergeHistory, Usage::kCompact | Usage::kNoFilters}) {
    for (const int form : {0, 2, 4 * 5}) {
      const SegmentKind kind = form == 2 ? SegmentKind::kHistory : SegmentKind::kLive;
      seeds.add("segment_file",
                use(bits, form) + join({block(kind, {"m", "n"}, 9), block(kind, {"a", "b"}, 8),
                                        block(kind, {"a", "z"}, 7)}));
      seeds.add("segment_file",
                use(bits, form) + join({block(kind, {"a", "b"}, 8), block(kind, {"b", "c"}, 9)}));
      SegmentIndexBuilder index;
      index.add("a", {9, 0}, block(kind, {"m", "n"}, 9).size() - 1 + kBlockTrailerBytes);
      seeds.add("segment_file",
                use(bits, form) + join({block(kind, {"m", "n"}, 9), byte(1) + index.finish()}));
      seeds.add("segment_file",
                use(bits, form) + join({block(kind, {"m", "n"}, 9), byte(2) + std::string(65, '\0')}));
    }
  }

  ChangeBlockBuilder far, near;
  far.begin_commit({5, 0}, kMinMs, 0);
  far.begin_commit({6, 0}, -1, 0);
  near.begin_commit({7, 0}, kMaxMs, 0);
  for (const int bits : {0, Usage::kRetentionShort | Usage::kTimePasses})
    seeds.add("change_file", use(bits, 0) + join({byte(0) + far.finish(), byte(0) + near.finish()}));
}

void make_values(Seeds& seeds) {
  using namespace kv;
  std::vector<std::string> numbers;
  for (const double number : {0.0, -0.0, 1.5, -1e300, std::nan(""), std::numeric_limits<double>::infinity()})
    numbers.push_back(encode_v8_number(number));
  for (const std::string& magnitude :
       {std::string(), std::string("\x01"), std::string(9, '\xff'), std::string(24, '\x80')})
    for (const bool negative : {false, true})
      numbers.push_back(encode_v8_number(BigIntView{negative, magnitude}));
  numbers.push_back("\xff\x0fI\x05");
  numbers.push_back(std::string("\xff\x0f\0?\x01U\x80\x01", 8));
  numbers.push_back("\xff\x0f\"\x02hi");
  for (const std::string& number : numbers) seeds.add("v8_value", byte(0) + number);
  for (const int64_t expiry : {int64_t{0}, int64_t{1'700'000'000'000}}) {
    std::string stored;
    append_stored_value(stored, {Encoding::kLe64, expiry, "12345678"});
    seeds.add("v8_value", byte(1) + stored);
  }
  seeds.add("v8_value", byte(1) + "\x13\x02" + "exdata");
  for (size_t i = 0; i + 1 < numbers.size(); ++i) {
    const std::string form = byte(2) + byte(i % 3 == 0 ? 4 : 0) + byte(0);
    seeds.add("v8_value", form + join({numbers[i], numbers[i + 1]}));
    seeds.add("v8_value", form + join({numbers[i], numbers[i], numbers[i + 1], numbers[0]}));
  }
  for (int type = 1; type < 4; ++type)
    seeds.add("v8_value",
              byte(2) + byte(type) + byte(0x11) + join({"12345678", "\xff\xff\xff\xff\xff\xff\xff\xff"}));
}

// What Deno and Node wrote, and its form.
void make_recorded(Seeds& seeds) {
  const std::string folder = TIDEMARK_SOURCE_ROOT "/tests/server/kv/recorded/";
  for (const auto& [file, target] : {std::pair{"deno_keys.jsonl", "tuple_key"},
                                     {"deno_values.jsonl", "v8_decode"},
                                     {"node_values.jsonl", "v8_decode"},
                                     {"node_views.jsonl", "v8_decode"}}) {
    std::ifstream lines(folder + file);
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = kv::parse_json(line, kv::v8::kMaxFormDepth).value();
      const std::string bytes = from_base64(parsed.at("bytes").get_string()).value();
      const std::string form = kv::to_json(parsed.at("form"));
      if (std::string(target) == "tuple_key") {
        seeds.add(target, byte(0) + bytes);
        seeds.add(target, byte(1) + form);
      } else {
        seeds.add(target, byte((bytes[1] - 9) * 4) + bytes.substr(2));
        seeds.add(target, byte(3 + 4 * (bytes[1] - 13)) + form);
      }
    }
  }
  seeds.add("tuple_key", byte(1) + R"({"$raw":"/wA="})");
  seeds.add("v8_decode", byte(3) + R"({"$u64":"18446744073709551615"})");
  seeds.add("v8_decode", byte(3) + R"({"$v8":"/w8w"})");
  seeds.add("v8_decode", byte(2) + std::string("\xff\x0f\xff", 3));
  seeds.add("v8_decode", byte(6) + "12345678");
  seeds.add("v8_decode", byte(10) + "bytes");
}

void make_calls(Seeds& seeds) {
  for (const char* json :
       {"", "{\"supportedVersions\":[1,2,3]}", "{\"supportedVersions\":[3],\"x\":{\"y\":[null,true]}}", "{}",
        "[1]", "{\"supportedVersions\":[18446744073709551615, 2]}", "{\"supportedVersions\":[1.5]}"}) {
    seeds.add("metadata", byte(0) + join({json, "/", "localhost:4512"}));
    seeds.add("metadata", byte(0) + join({json, "/db/default"}));
  }
  seeds.add("metadata", byte(0) + join({"", "/databases/00000000-0000-4000-8000-000000000000/connect", ""}));
  seeds.add("metadata", byte(1) + join({"", "/v2/snapshot_read", "POST",
                                        std::string("Bearer ") + kAccessToken, "", "3"}));
  seeds.add("metadata", byte(1) + join({"", "/", "POST", std::string("bearer ") + kAccessToken}));
  seeds.add("metadata", byte(1) + join({"", "/v2/watch", "POST", "Bearer " + std::string(94, 'A'), "", "2"}));

  pb::SnapshotRead read;
  const auto range = [&](const std::string& start, const std::string& end, int limit, bool reverse) {
    pb::ReadRange& one = *read.add_ranges();
    one.set_start(start);
    one.set_end(end);
    one.set_limit(limit);
    one.set_reverse(reverse);
  };
  range("a", std::string("a\0", 2), 1, false);
  seeds.add("snapshot_read", byte(0) + read.SerializeAsString());
  range("", "z", 10, true);
  range("b", "\xff", 1, false);
  seeds.add("snapshot_read", byte(0) + read.SerializeAsString());
  range("", "z", -1, true);
  seeds.add("snapshot_read", byte(0) + read.SerializeAsString());
  seeds.add_noise("snapshot_read", byte(1), 10);

  pb::AtomicWrite write;
  pb::Mutation& set = *write.add_mutations();
  set.set_key("a");
  set.set_mutation_type(pb::M_SET);
  set.mutable_value()->set_data("data");
  set.mutable_value()->set_encoding(pb::VE_BYTES);
  seeds.add("atomic_write", byte(0) + write.SerializeAsString());
  set.set_expire_at_ms(1'800'000'000'000);
  write.add_checks()->set_key("nobody");
  pb::Mutation& sum = *write.add_mutations();
  sum.set_key("b");
  sum.set_mutation_type(pb::M_SUM);
  sum.mutable_value()->set_data(kv::encode_v8_number(kv::BigIntView{false, "\x05"}));
  sum.mutable_value()->set_encoding(pb::VE_V8);
  sum.set_sum_max(kv::encode_v8_number(kv::BigIntView{false, "\x05"}));
  sum.set_sum_clamp(true);
  pb::Enqueue& enqueue = *write.add_enqueues();
  enqueue.set_payload(kv::encode_v8_number(1));
  enqueue.add_keys_if_undelivered("dead");
  enqueue.add_backoff_schedule(100);
  seeds.add("atomic_write", byte(0) + join({write.SerializeAsString(), write.SerializeAsString()}));
  write.mutable_checks(0)->set_versionstamp("0123456789");
  seeds.add("atomic_write", byte(0) + write.SerializeAsString());
  seeds.add_noise("atomic_write", byte(0xff), 24);

  pb::Watch watch;
  for (const char* key : {"a", "f", "nobody"}) watch.add_keys()->set_key(key);
  seeds.add("watch", byte(0) + join({watch.SerializeAsString(), "\x01\x01\x01\x05xxxxx",
                                     std::string("\0\xff\xff", 3)}));
  seeds.add_noise("watch", byte(1), 10);
}

void make_http(Seeds& seeds) {
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string post =
      "POST /v2?q HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer t\r\nx-denokv-version: 3\r\n"
      "x-denokv-database-id: id\r\nContent-Length: 5\r\n\r\n12345";
  const std::string chunked =
      "POST /short HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\n12345\r\n1\r\n6\r\n0\r\nTrailer: t\r\n\r\n";
  const auto at = [](const std::string& path, const std::string& more = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: h\r\n" + more + "\r\n";
  };
  for (const int form : {0, 1, 2}) {
    seeds.add("http1", byte(form) + join({byte(0) + get + post, byte(0) + chunked}));
    seeds.add("http1", byte(form) + join({byte(0) + post.substr(0, 40), byte(0) + post.substr(40) + get}));
    seeds.add("http1",
              byte(form) + join({byte(0) + at("/later") + get, byte(1), byte(0) + at("/drop"), byte(3)}));
    seeds.add("http1", byte(form) + join({byte(0) + at("/stream"), byte(2), byte(4), byte(2)}));
    seeds.add("http1",
              byte(form) + join({byte(0) + at("/large") + "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", byte(5)}));
    seeds.add("http1", byte(form) + byte(0) + at("http://other/none") + at("/throw") + at("/wrong"));
    seeds.add("http1", byte(form) + byte(0) + at("/", "Expect: 100-continue\r\nContent-Length: 3000\r\n") +
                           std::string(3000, 'b'));
    seeds.add("http1", byte(form) + byte(0) + "POST /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    seeds.add("http1", byte(form) + byte(0) + at("/", "Content-Length: 99999\r\n"));
    seeds.add("http1", byte(form) + byte(0) + at("/", std::string(600, 'h') + ": v\r\n"));
  }
  seeds.add("http1", byte(0) + byte(0) + std::string(http::kHttp2Preface));
  seeds.add("http1", byte(0) + byte(0) + "POST / HTTP/2.0\r\n\r\n");

  // Frames that are picked: see http2.cc for what the bytes mean.
  for (const int form : {0, 1}) {
    for (int path = 0; path < 8; ++path) {
      const std::string head = byte(0x20) + byte(0) + byte(4 * path);  // with an end
      const std::string begun = byte(0x00) + byte(1) + byte(4 * path | 32) + byte(2) + "\x20";
      const std::string data = byte(0x22) + byte(1) + byte(32);
      seeds.add("http2", byte(form) + join({byte(128) + head + begun, byte(128) + data, byte(1), byte(2)}));
    }
    seeds.add("http2",
              byte(form) + join({byte(128) + std::string("\x20\0\0\x20\x01\x08\x05\x01\x08\x07\x07\x07", 12),
                                 byte(2), byte(4), byte(5)}));
    seeds.add("http2", byte(form) + byte(128) + "\x0d\xff");
  }
  seeds.add_noise("http2", byte(0) + byte(128), 20);
  seeds.add_noise("http2", byte(1) + byte(128), 20);
}

// The first byte says what it is: see backup_objects.cc. What the target seals itself comes without its seal.
void make_backups(Seeds& seeds) {
  const std::string target = "backup_objects";
  const auto add = [&](char kind, const std::string& bytes) { seeds.add(target, kind + bytes); };
  const Versionstamp stamp{0x0106611abb3ed325, 0};
  add(0, "0001_0000000000000007_0106611abb3ed32500000000_0106611abb3ed3250000ffff.bin");
  add(0, "0000000000000003_0000000000000007_0106611abb3ed32500000000_0106611abb3ed3250001ffff.bin");
  add(0, "0001_0000000000000001_000000000000002a.bin");
  backup::Index index;
  index.database = "6a0b";
  index.name = "default";
  index.writer = {"store", "session", 1'700'000'000'000};
  index.generations.push_back({"0001-0a0b0c0d",
                               1'700'000'000'000,
                               stamp,
                               false,
                               true,
                               3,
                               0,
                               false,
                               "the first",
                               {{"session", stamp}}});
  index.generations.push_back(index.generations.front());
  index.generations.back().continues = true;
  add(1, backup::encode(index));
  add(2,
      "<?xml "
      "version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
      "<Contents><Key>a/b%20c</Key><LastModified>2026-11-25T14:31:00.000Z</LastModified><Size>12</Size>"
      "</Contents><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>");
  std::string value;
  kv::append_stored_value(value, {kv::Encoding::kBytes, 1'800'000'000'000, "value"});
  backup::SnapshotRangeWriter snapshot({stamp, 1'700'000'000'000}, 1000);
  for (const char* key : {"e\0\0\1", "q1", "ua", "ub"})
    if (key[0] == 'u')
      (void)snapshot.add(key, stamp, value).has_value();
    else
      (void)snapshot.add(key, stamp, "").has_value();
  const std::string range = snapshot.finish();
  constexpr size_t kSealBytes = 10;
  add(3, range);
  add(4, range.substr(0, range.size() - kSealBytes));
  backup::LogObjectWriter log({}, "s", 1 << 20);
  log.on_commit({stamp, 1'700'000'000'000}, 3);
  log.on_put("ua", value);
  log.on_erase("ub");
  log.on_put("q1", "message");
  log.on_commit({{stamp.number + 1, 0}, 1'700'000'000'001}, 0);
  const std::string object = log.finish()->bytes;
  add(5, object.substr(0, object.size() - kSealBytes));
}

}  // namespace
}  // namespace tidemark::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  tidemark::fuzz::Seeds seeds(argv[1]);
  tidemark::fuzz::make_formats(seeds);
  tidemark::fuzz::make_files(seeds);
  tidemark::fuzz::make_hostile_files(seeds);
  tidemark::fuzz::make_values(seeds);
  tidemark::fuzz::make_recorded(seeds);
  tidemark::fuzz::make_calls(seeds);
  tidemark::fuzz::make_http(seeds);
  tidemark::fuzz::make_backups(seeds);
  return 0;
}
