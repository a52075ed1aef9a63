// Every codec of engine/format: what it writes it reads back, and no bytes that it is given make it crash,
// read outside of them or take memory without bound (run under the sanitizers). That good-looking damage is
// caught is the checksums' part; that undetected damage does no harm beyond its own record is shown here.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "engine/base/random.h"
#include "engine/format/block.h"
#include "engine/format/change_record.h"
#include "engine/format/file_names.h"
#include "engine/format/filter.h"
#include "engine/format/log_record.h"
#include "engine/format/manifest_edit.h"
#include "engine/format/segment_layout.h"
#include "engine/format/segment_meta.h"
#include "engine/format/wal_payload.h"

namespace tidemark {
namespace {

// Calls `decode` with every beginning of `bytes`, with random flips and with noise, each in memory of its own
// size.
void with_hostile_bytes(const std::string& bytes, const std::function<void(std::string_view)>& decode) {
  Random random(bytes.size());
  const auto give = [&](std::string_view hostile) {
    const std::unique_ptr<char[]> exact(new char[hostile.size()]);
    std::copy(hostile.begin(), hostile.end(), exact.get());
    decode({exact.get(), hostile.size()});
  };
  for (size_t size = 0; size < bytes.size(); ++size) give(std::string_view(bytes).substr(0, size));
  for (int i = 0; i < 3000 && !bytes.empty(); ++i) {
    std::string flipped = bytes;
    for (uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
      const uint64_t at = random.below(flipped.size());
      flipped[at] = random.one_in(3) ? static_cast<char>(random.one_in(2) ? 0xff : 0)
                                     : static_cast<char>(flipped[at] ^ (1 << random.below(8)));
    }
    if (random.one_in(5)) flipped.resize(random.below(flipped.size() + 1));
    give(flipped);
  }
  for (int i = 0; i < 300; ++i) {
    std::string noise(random.below(200), '\0');
    for (char& c : noise) c = static_cast<char>(random.next());
    give(noise);
  }
}

std::string random_string(Random& random, uint64_t below) {
  std::string out(random.below(below), '\0');
  for (char& c : out) c = static_cast<char>(random.one_in(4) ? random.next() : 'k');
  return out;
}

TEST(file_names, are_read_back_and_nothing_else_is) {
  for (const FileType type : {FileType::kWal, FileType::kSegment, FileType::kChanges, FileType::kManifest})
    for (const uint64_t number : {uint64_t{1}, uint64_t{999999}, uint64_t{1000000}, UINT64_MAX}) {
      const std::string path = file_path("d", type, number);
      ASSERT_TRUE(path.starts_with("d/"));
      const auto parsed = parse_file_name(path.substr(2));
      ASSERT_TRUE(parsed.has_value()) << path;
      EXPECT_EQ(parsed->type, type);
      EXPECT_EQ(parsed->number, number);
    }
  for (const char* name : {"", ".", "1.wal", "00001.wal", "-00001.wal", "000001.wa", "000001.wall",
                           "00000x.seg", "99999999999999999999999.seg", "MANIFEST-", "MANIFEST-1", "CURRENT2",
                           "lock", ".wal", " 00001.wal", "000001 .wal"})
    EXPECT_FALSE(parse_file_name(name).has_value()) << name;
}

TEST(log_record, headers_are_read_back_and_any_flipped_bit_is_seen) {
  const LogHeader header{LogKind::kWal, "0123456789abcdef", 7, 6, 4096};
  const std::string bytes = encode_log_header(header);
  const auto back = decode_log_header(bytes, LogKind::kWal);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->database_id, header.database_id);
  EXPECT_EQ(back->file_number, 7u);
  EXPECT_EQ(back->predecessor_number, 6u);
  EXPECT_EQ(back->predecessor_end, 4096u);
  EXPECT_FALSE(decode_log_header(bytes, LogKind::kManifest).has_value());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_log_header(flipped, LogKind::kWal).has_value()) << bit;
  }
  with_hostile_bytes(bytes, [&](std::string_view hostile) {
    if (hostile != bytes) {
      EXPECT_FALSE(decode_log_header(hostile, LogKind::kWal).has_value());
    }
  });
}

TEST(log_record, records_are_read_back_and_any_flipped_bit_is_seen) {
  std::string file(kLogHeaderBytes, 'h');
  std::vector<std::pair<uint64_t, std::string>> written;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{100}}) {
    std::string record(kRecordHeaderBytes, '\0');
    const std::string payload(size, 'p');
    record += payload;
    finish_record(record, 99, file.size(), file.size());
    EXPECT_EQ(record.size(), record_bytes(size));
    written.emplace_back(file.size(), payload);
    file += record;
  }
  for (const auto& [offset, payload] : written) {
    const auto record = read_record(file, 99, offset);
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->payload, payload);
    EXPECT_EQ(record->promised, offset);
    EXPECT_FALSE(read_record(file, 98, offset).has_value());
  }
  EXPECT_EQ(largest_promise_after(file, 99, 0), written.back().first);
  const auto [offset, payload] = written.back();
  for (size_t bit = offset * 8; bit < (offset + kRecordHeaderBytes + payload.size()) * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(read_record(flipped, 99, offset).has_value()) << bit;
  }
  with_hostile_bytes(file, [&](std::string_view hostile) {
    for (uint64_t at = 0; at <= hostile.size() + 8; at += 8) {
      const auto record = read_record(hostile, 99, at);
      if (record) {
        EXPECT_LE(record->end, hostile.size());
      }
    }
    (void)largest_promise_after(hostile, 99, 0);
  });
  EXPECT_FALSE(read_record(file, 99, UINT64_MAX - 7).has_value());
}

struct Collected final : WalVisitor {
  Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    return note(stamp, timestamp_ms, writes), Status();
  }
  Status on_write(WriteKind kind, std::string_view key, std::string_view value) override {
    text += " " + std::to_string(static_cast<int>(kind)) + std::string(key) + "=" + std::string(value);
    return {};
  }
  Status on_ingest(const WalIngest& ingest) override {
    text += "ingest " + std::to_string(ingest.segments.size());
    segments = ingest.segments;
    return {};
  }
  void note(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) {
    text += "|" + stamp.hex() + "@" + std::to_string(timestamp_ms) + "x" + std::to_string(writes);
  }
  std::string text;
  std::vector<SegmentMeta> segments;
};

struct CollectedChanges final : ChangeVisitor {
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    text += "|" + stamp.hex() + "@" + std::to_string(timestamp_ms) + "x" + std::to_string(writes);
  }
  void on_write(WriteKind kind, std::string_view key) override {
    text += " " + std::to_string(static_cast<int>(kind)) + std::string(key);
  }
  std::string text;
};

TEST(change_record, blocks_are_read_back) {
  ChangeBlockBuilder builder;
  EXPECT_TRUE(builder.empty());
  for (int round = 0; round < 2; ++round) {
    builder.begin_commit({5, 0}, -3, 2);
    builder.add_write(WriteKind::kPut, "apple");
    builder.add_write(WriteKind::kTombstone, "apply");
    builder.begin_commit({5, 7}, 0, 0);
    builder.begin_commit({UINT64_MAX, 1}, std::numeric_limits<int64_t>::max() / 2, 1);
    builder.add_write(WriteKind::kPut, "b");
    EXPECT_EQ(builder.first_stamp(), (Versionstamp{5, 0}));
    const std::string raw = builder.finish();
    CollectedChanges seen;
    ASSERT_TRUE(visit_change_block(raw, seen).has_value());
    CollectedChanges expected;
    expected.on_commit({5, 0}, -3, 2);
    expected.on_write(WriteKind::kPut, "apple");
    expected.on_write(WriteKind::kTombstone, "apply");
    expected.on_commit({5, 7}, 0, 0);
    expected.on_commit({UINT64_MAX, 1}, std::numeric_limits<int64_t>::max() / 2, 1);
    expected.on_write(WriteKind::kPut, "b");
    EXPECT_EQ(seen.text, expected.text);
    with_hostile_bytes(raw, [](std::string_view hostile) {
      CollectedChanges ignored;
      (void)visit_change_block(hostile, ignored).has_value();
    });
  }
}

TEST(change_record, headers_indexes_and_footers_are_read_back) {
  const std::string header = encode_change_header(77);
  EXPECT_EQ(decode_change_header(header).value(), 77u);
  const std::string footer = encode_change_footer(100, 50, 77);
  EXPECT_EQ(decode_change_footer(footer, 77, 200)->index_size, 50u);
  EXPECT_FALSE(decode_change_footer(footer, 78, 200).has_value());
  EXPECT_FALSE(decode_change_footer(footer, 77, 149).has_value());
  const std::string index = encode_change_index({{32, 10, {1, 2}, 3}, {42, 11, {4, 5}, 6}});
  const auto back = decode_change_index(index);
  ASSERT_TRUE(back.has_value());
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[1].offset, 42u);
  EXPECT_EQ((*back)[1].first_stamp, (Versionstamp{4, 5}));
  with_hostile_bytes(header, [&](std::string_view hostile) {
    if (hostile != header) {
      EXPECT_FALSE(decode_change_header(hostile).has_value());
    }
  });
  with_hostile_bytes(footer, [&](std::string_view hostile) {
    if (hostile != footer) {
      EXPECT_FALSE(decode_change_footer(hostile, 77, 200).has_value());
    }
  });
  with_hostile_bytes(index, [](std::string_view hostile) { (void)decode_change_index(hostile).has_value(); });
}

SegmentMeta some_meta(uint64_t number) {
  SegmentMeta meta;
  meta.number = number;
  meta.kind = number % 2 == 0 ? SegmentKind::kLive : SegmentKind::kHistory;
  meta.file_bytes = uint64_t{1} << 40;
  meta.entries = 1000;
  meta.tombstones = 3;
  meta.smallest_key = std::string("a\0b", 3);
  meta.largest_key = std::string(300, 'z');
  meta.min_stamp = {1, 0};
  meta.max_stamp = {UINT64_MAX, UINT16_MAX};
  meta.min_superseded = {2, 1};
  meta.max_superseded = {3, 9};
  return meta;
}

TEST(wal_payload, groups_are_read_back) {
  std::string payload;
  begin_group(payload);
  for (uint64_t i = 1; i <= 2; ++i) {
    const size_t at = payload.size();
    payload.resize(at + kWalCommitHeaderBytes);
    put_wal_write(payload, WriteKind::kPut, "key", std::string(200, 'v'));
    put_wal_write(payload, WriteKind::kTombstone, std::string("\0", 1), {});
    store_wal_commit(payload.data() + at, {i, static_cast<uint16_t>(i)}, -static_cast<int64_t>(i), 2);
  }
  Collected seen;
  ASSERT_TRUE(visit_wal_payload(payload, seen).has_value());
  Collected expected;
  for (uint64_t i = 1; i <= 2; ++i) {
    expected.note({i, static_cast<uint16_t>(i)}, -static_cast<int64_t>(i), 2);
    (void)expected.on_write(WriteKind::kPut, "key", std::string(200, 'v')).has_value();
    (void)expected.on_write(WriteKind::kTombstone, std::string("\0", 1), {}).has_value();
  }
  EXPECT_EQ(seen.text, expected.text);
  with_hostile_bytes(payload, [](std::string_view hostile) {
    Collected ignored;
    (void)visit_wal_payload(hostile, ignored).has_value();
  });
  Collected none;
  EXPECT_FALSE(visit_wal_payload("", none).has_value());
  // A key may be so long and no longer: what holds it counts its size in two bytes.
  for (const size_t size : {size_t{65'535}, size_t{65'536}}) {
    std::string large;
    begin_group(large);
    large.resize(large.size() + kWalCommitHeaderBytes);
    store_wal_commit(large.data() + 1, {1, 0}, 0, 1);
    put_wal_write(large, WriteKind::kPut, std::string(size, 'k'), "value");
    Collected ignored;
    EXPECT_EQ(visit_wal_payload(large, ignored).has_value(), size <= 65'535);
  }
}

TEST(manifest_edit, is_read_back) {
  ManifestEdit edit;
  EXPECT_EQ(decode_manifest_edit(encode_manifest_edit(edit)).value(), edit);
  edit.snapshot = true;
  edit.epoch = 127;
  edit.next_file_number = UINT64_MAX;
  edit.oldest_wal = 0;
  edit.newest_wal = 300;
  edit.flushed_stamp = Versionstamp{5, 6};
  edit.flushed_timestamp_ms = -1;
  edit.horizon = Versionstamp{4, UINT16_MAX};
  edit.retention_clock_ms = 12345;
  edit.added_segments = {{0, some_meta(4)}, {9, some_meta(5)}};
  edit.removed_segments = {1, 1000};
  edit.added_changes = {{7, 8, 9, {1, 0}, {2, 0}, -5, 6}};
  edit.removed_changes = {3};
  const std::string bytes = encode_manifest_edit(edit);
  EXPECT_EQ(decode_manifest_edit(bytes).value(), edit);
  with_hostile_bytes(bytes,
                     [](std::string_view hostile) { (void)decode_manifest_edit(hostile).has_value(); });
  const auto unknown = decode_manifest_edit(std::string_view("\x7e\x01", 2));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNewerFormat);
}

class BlockTest : public ::testing::TestWithParam<std::tuple<SegmentKind, int, uint64_t>> {};

TEST_P(BlockTest, is_read_back_and_survives_hostile_bytes) {
  const auto [kind, count, value_size] = GetParam();
  struct Entry {
    std::string key;
    Versionstamp stamp;
    Versionstamp superseded;
    bool tombstone;
    std::string value;
  };
  Random random(value_size + static_cast<uint64_t>(count));
  std::vector<Entry> entries;
  for (int i = 0; i < count; ++i) {
    Entry e;
    // A live segment holds a key once.
    const int each = kind == SegmentKind::kHistory ? i / 3 : i;
    e.key = "user/" + std::to_string(1000 + each) + (each % 5 == 0 ? std::string("\0\xff", 2) : "");
    e.stamp = {static_cast<uint64_t>(100 - i % 3), static_cast<uint16_t>(i % 2)};
    e.superseded = kind == SegmentKind::kHistory ? Versionstamp{200, 1} : Versionstamp::max();
    e.tombstone = i % 4 == 1;
    if (!e.tombstone) e.value = random_string(random, value_size);
    entries.push_back(std::move(e));
  }
  BlockBuilder builder(kind);
  for (const Entry& e : entries) builder.add(e.key, e.stamp, e.superseded, e.tombstone, e.value);
  const std::string bytes = builder.finish();
  EXPECT_TRUE(builder.empty());
  const auto block = Block::parse(bytes, kind);
  ASSERT_TRUE(block.has_value());
  ASSERT_EQ((*block)->count(), entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const BlockEntry e = (*block)->entry(i);
    EXPECT_EQ(std::string((*block)->prefix()) + std::string(e.key_suffix), entries[i].key);
    EXPECT_EQ(e.value, entries[i].value);
    EXPECT_EQ(e.stamp, entries[i].stamp);
    EXPECT_EQ(e.tombstone, entries[i].tombstone);
    if (kind == SegmentKind::kHistory) {
      EXPECT_EQ(e.superseded, entries[i].superseded);
    }
    EXPECT_EQ((*block)->lower_bound(entries[i].key, entries[i].stamp), i);
  }
  EXPECT_EQ((*block)->lower_bound("", Versionstamp::max()), 0u);
  EXPECT_EQ((*block)->lower_bound("user0", Versionstamp::max()), entries.size());
  if (bytes.size() > 4000) return;
  with_hostile_bytes(bytes, [kind = kind](std::string_view hostile) {
    const auto parsed = Block::parse(std::string(hostile), kind);
    if (!parsed) return;
    size_t sum = 0;
    for (uint32_t i = 0; i < (*parsed)->count(); ++i) {
      const BlockEntry e = (*parsed)->entry(i);
      for (char c : e.key_suffix) sum += static_cast<uint8_t>(c);
      for (char c : e.value) sum += static_cast<uint8_t>(c);
    }
    (void)sum;
    (void)(*parsed)->lower_bound("user/1003", {50, 0});
  });
}

INSTANTIATE_TEST_SUITE_P(shapes, BlockTest,
                         ::testing::Combine(::testing::Values(SegmentKind::kLive, SegmentKind::kHistory),
                                            ::testing::Values(1, 2, 40),
                                            ::testing::Values(uint64_t{1}, uint64_t{30}, uint64_t{9000})));

}  // namespace
}  // namespace tidemark
