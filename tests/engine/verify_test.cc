// A damaged store for every sort of finding, and sound stores of every kind.
#include "engine/verify/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/changes/change_file.h"
#include "engine/format/file_names.h"
#include "engine/format/log_record.h"
#include "engine/format/segment_layout.h"
#include "engine/format/wal_payload.h"
#include "engine/io/posix_file_system.h"
#include "engine/segment/segment_writer.h"
#include "engine/verify/log_scan.h"
#include "engine/verify/segment_scan.h"
#include "engine/wal/wal_writer.h"
#include "tests/engine/damaged_store.h"
#include "tests/support/watching_file_system.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;

class VerifyTest : public DamagedStoreTest {
 protected:
  void SetUp() override { make_store(); }

  void expect(const std::string& code, bool deep = true) {
    const Checked checked = check(dir(), deep);
    EXPECT_TRUE(checked.has(code)) << code << " is not among: " << checked.text();
  }
  // A finding of this sort and no other.
  void expect_only(const std::string& code) {
    const Checked checked = check(dir());
    EXPECT_TRUE(checked.has(code)) << checked.text();
    for (const verify::Finding& finding : checked.findings)
      EXPECT_EQ(finding.kind.code, code) << checked.text();
  }

  uint64_t a_segment(SegmentKind kind) {
    for (const auto& [number, segment] : state_of(dir()).segments)
      if (segment.meta.kind == kind && segment.meta.entries > 1) return number;
    ADD_FAILURE() << "the store has no such segment";
    return 0;
  }
  std::string segment_path(uint64_t number) { return file_path(dir(), FileType::kSegment, number); }

  struct Entry {
    std::string key, value;
    Versionstamp stamp, superseded;
    bool tombstone;
  };
  // Writes a segment again with its entries changed, and tells the manifest.
  void rewrite_segment(uint64_t number, const std::function<void(std::vector<Entry>&)>& change,
                       uint64_t as_number = 0) {
    const ManifestState state = state_of(dir());
    const PlacedSegment placed = state.segments.at(number);
    verify::Reporter none(nullptr, nullptr);
    std::vector<Entry> entries;
    verify::SegmentScan scan(posix_file_system(), segment_path(number), placed.meta, {}, none);
    while (scan.next())
      entries.push_back({std::string(scan.key()), std::string(scan.value()), scan.stamp(), scan.superseded(),
                         scan.tombstone()});
    change(entries);
    auto writer =
        SegmentWriter::create(posix_file_system(), segment_path(number), as_number == 0 ? number : as_number,
                              placed.meta.kind, 77, {.block_bytes = 512});
    ASSERT_TRUE(writer.has_value());
    for (const Entry& e : entries)
      ASSERT_TRUE((*writer)->add(e.key, e.stamp, e.superseded, e.tombstone, e.value).has_value());
    const auto meta = (*writer)->finish();
    ASSERT_TRUE(meta.has_value());
    describe_otherwise(number, [&](SegmentMeta& old) {
      old = *meta;
      old.number = number;
    });
  }

  struct Commit {
    Versionstamp stamp;
    int64_t timestamp_ms = 0;
    std::vector<std::pair<WriteKind, std::string>> writes;
  };
  // The same for the first change file.
  void rewrite_changes(const std::function<void(std::vector<Commit>&)>& change) {
    const ChangeFileMeta meta = state_of(dir()).changes.begin()->second;
    const std::string path = file_path(dir(), FileType::kChanges, meta.number);
    struct Collect final : ChangeVisitor {
      void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
        commits.push_back({stamp, timestamp_ms, {}});
      }
      void on_write(WriteKind kind, std::string_view key) override {
        commits.back().writes.emplace_back(kind, key);
      }
      std::vector<Commit> commits;
    } collect;
    ASSERT_TRUE((*ChangeFileReader::open(posix_file_system(), path, meta))->visit(collect).has_value());
    change(collect.commits);
    auto writer = ChangeFileWriter::create(posix_file_system(), path, meta.number, 5);
    ASSERT_TRUE(writer.has_value());
    for (const Commit& commit : collect.commits) {
      ASSERT_TRUE(
          (*writer)
              ->begin_commit(commit.stamp, commit.timestamp_ms, static_cast<uint32_t>(commit.writes.size()))
              .has_value());
      for (const auto& [kind, key] : commit.writes) (*writer)->add_write(kind, key);
    }
    const auto written = (*writer)->finish();
    ASSERT_TRUE(written.has_value());
    change_manifest([&](const ManifestState&, ManifestEdit& edit) {
      edit.removed_changes.push_back(meta.number);
      edit.added_changes.push_back(*written);
    });
  }

  // A WAL file behind the newest, with these payloads.
  void add_wal(uint64_t predecessor, uint64_t predecessor_end, const std::vector<std::string>& payloads) {
    const ManifestState state = state_of(dir());
    const uint64_t number = state.next_file_number + 5;
    auto wal = WalWriter::create(posix_file_system(), dir(), database_id(), number);
    ASSERT_TRUE(wal.has_value());
    ASSERT_TRUE((*wal)->start(predecessor, predecessor_end).has_value());
    for (const std::string& payload : payloads) {
      std::string record(kRecordHeaderBytes, '\0');
      record += payload;
      ASSERT_TRUE((*wal)->append(record).has_value() && (*wal)->sync().has_value());
    }
    (*wal)->trim();
    change_manifest([&](const ManifestState&, ManifestEdit& edit) {
      edit.newest_wal = number;
      edit.next_file_number = number + 1;
    });
  }
  std::string database_id() { return (*Manifest::open(posix_file_system(), dir()))->database_id(); }
  uint64_t wal_end() {
    const ManifestState state = state_of(dir());
    auto log = verify::LogScan::read(posix_file_system(), file_path(dir(), FileType::kWal, state.newest_wal),
                                     LogKind::kWal, {}, state.newest_wal);
    uint64_t end = kLogHeaderBytes;
    while (const auto piece = log->next(std::nullopt)) end = piece->end;
    return end;
  }
};

TEST_F(VerifyTest, a_sound_store_is_clean) {
  for (const bool deep : {false, true}) {
    const Checked checked = check(dir(), deep);
    EXPECT_EQ(checked.text(), "");
    EXPECT_GT(checked.summary.live_versions, 10u);
    EXPECT_GT(checked.summary.history_versions, 10u);
    EXPECT_GT(checked.summary.commits, 100u);
    EXPECT_EQ(checked.summary.wal_commits, 20u);
    EXPECT_EQ(checked.summary.head, moments_.rbegin()->first);
  }
  // In parts that fit into little memory.
  EXPECT_EQ(check(dir(), true, 1000).text(), "");
}

TEST_F(VerifyTest, gives_every_version_in_the_order_of_keys) {
  verify::VerifyOptions options;
  Moment newest;
  std::string before;
  options.versions = [&](const verify::VersionView& v) {
    if (!v.newest) return;
    EXPECT_GT(v.key, before);
    before = v.key;
    if (!v.tombstone) newest[std::string(v.key)] = {std::string(v.value), v.stamp};
  };
  ASSERT_TRUE(verify::verify_database(posix_file_system(), dir(), options).has_value());
  EXPECT_EQ(newest, moments_.rbegin()->second);
}

TEST_F(VerifyTest, current) {
  flip(dir() + "/CURRENT", 33);
  expect_only("current-damaged");
  fs::remove(dir() + "/CURRENT");
  expect_only("current-damaged");
}

TEST_F(VerifyTest, newer_formats) {
  std::string bytes = read(dir() + "/CURRENT");
  bytes[8] = 2;
  write(dir() + "/CURRENT", bytes);
  expect_only("newer-format");
}

TEST_F(VerifyTest, newer_segment) {
  const std::string path = segment_path(a_segment(SegmentKind::kLive));
  std::string bytes = read(path);
  bytes[8] = 2;
  store_le64(bytes.data() + 24, xxh3(std::string_view(bytes).substr(0, 24)));
  write(path, bytes);
  expect("newer-format");
}

TEST_F(VerifyTest, manifest) {
  const std::string path = files("MANIFEST").front();
  const std::string bytes = read(path);
  for (const uint64_t at : {uint64_t{20}, uint64_t{70}}) {
    flip(path, at);
    expect_only("manifest-damaged");
    write(path, bytes);
  }
  write(path, "");
  expect_only("manifest-damaged");
  fs::remove(path);
  expect_only("manifest-damaged");
}

TEST_F(VerifyTest, manifest_rules) {
  change_manifest([](const ManifestState&, ManifestEdit& edit) { edit.oldest_wal = 1'000'000; });
  expect("manifest-rule");
}

TEST_F(VerifyTest, a_record_of_the_manifest_that_cannot_follow) {
  const std::string path = files("MANIFEST").front();
  std::string bytes = read(path);
  ManifestEdit edit;
  edit.removed_segments = {987654};
  std::string record(kRecordHeaderBytes, '\0');
  record += encode_manifest_edit(edit);
  const uint64_t number = std::stoull(path.substr(path.rfind('-') + 1));
  finish_record(record, log_salt(LogKind::kManifest, database_id(), number), bytes.size(), bytes.size());
  write(path, bytes + record);
  expect_only("manifest-rule");
}

TEST_F(VerifyTest, missing_files) {
  for (const char* ending : {".seg", ".chg", ".wal"}) {
    const std::string path = files(ending).front();
    const std::string bytes = read(path);
    fs::remove(path);
    expect("file-missing", false);
    write(path, bytes);
  }
  EXPECT_EQ(check(dir()).text(), "");
}

TEST_F(VerifyTest, files_that_nobody_needs) {
  write(dir() + "/000999.seg", "x");
  write(dir() + "/000998.chg", "x");
  write(dir() + "/000997.wal", "x");
  write(dir() + "/MANIFEST-000001", "x");
  write(dir() + "/CURRENT.tmp", "x");
  expect_only("leftover-file");
  EXPECT_EQ(check(dir()).findings.size(), 5u);
  EXPECT_EQ(check(dir()).findings.front().kind.severity, verify::Severity::kMinor);
}

TEST_F(VerifyTest, foreign_files) {
  write(dir() + "/notes.txt", "x");
  expect_only("foreign-file");
}

TEST_F(VerifyTest, log) {
  const std::string path = files(".wal").back();
  const std::string bytes = read(path);
  for (const uint64_t at : {uint64_t{20}, uint64_t{70}, uint64_t{100}, uint64_t{bytes.size() / 2}}) {
    flip(path, at);
    const Checked checked = check(dir());
    EXPECT_TRUE(checked.has("wal-damaged")) << at << checked.text();
    // What is behind is read all the same.
    EXPECT_EQ(checked.summary.head, moments_.rbegin()->first) << at;
    write(path, bytes);
  }
}

TEST_F(VerifyTest, a_torn_tail_is_no_finding) {
  const std::string path = files(".wal").back();
  std::string bytes = read(path);
  bytes.resize(bytes.size() - 40);  // the close record, and a little of the one before
  write(path, bytes + "\x01\x02\x03");
  const Checked checked = check(dir());
  EXPECT_EQ(checked.text(), "");
  EXPECT_EQ(checked.summary.torn_wal_files, 1u);
}

TEST_F(VerifyTest, chain_of_logs) {
  add_wal(999, 64, {});
  expect("wal-chain");
}

TEST_F(VerifyTest, order_of_the_log) {
  const ManifestState state = state_of(dir());
  const Versionstamp last = moments_.rbegin()->first;
  std::string group;
  begin_group(group);
  char header[kWalCommitHeaderBytes];
  store_wal_commit(header, {last.number - 1, 9}, INT64_MAX, 0);
  group.append(header, sizeof header);
  add_wal(state.newest_wal, wal_end(), {group});
  expect_only("wal-order");
}

TEST_F(VerifyTest, a_record_of_the_log_that_makes_no_sense) {
  add_wal(state_of(dir()).newest_wal, wal_end(), {std::string("\x09what", 5)});
  expect_only("wal-order");
}

TEST_F(VerifyTest, commits_in_a_log_that_the_manifest_does_not_know) {
  const ManifestState state = state_of(dir());
  auto wal = WalWriter::create(posix_file_system(), dir(), database_id(), state.next_file_number + 5);
  ASSERT_TRUE(wal.has_value() && (*wal)->start(state.newest_wal, wal_end()).has_value());
  std::string record(kRecordHeaderBytes, '\0');
  begin_group(record);
  ASSERT_TRUE((*wal)->append(record).has_value() && (*wal)->sync().has_value());
  expect_only("manifest-damaged");
}

TEST_F(VerifyTest, segments) {
  for (const SegmentKind kind : {SegmentKind::kLive, SegmentKind::kHistory}) {
    const uint64_t number = a_segment(kind);
    const std::string path = segment_path(number);
    const std::string bytes = read(path);
    const uint64_t size = bytes.size();
    // Header, a block, index or filter, properties, footer.
    for (const uint64_t at : {uint64_t{20}, uint64_t{40}, size - 300, size - 100, size - 40, size - 4}) {
      flip(path, at);
      const Checked checked = check(dir(), false);
      EXPECT_TRUE(checked.has("segment-damaged")) << at << checked.text();
      write(path, bytes);
    }
    write(path, bytes.substr(0, size / 2));
    expect("segment-damaged");
    write(path, bytes);
  }
}

TEST_F(VerifyTest, segments_that_changed_places) {
  const std::string a = segment_path(a_segment(SegmentKind::kHistory));
  const std::vector<std::string> all = files(".seg");
  const std::string b =
      *std::find_if(all.begin(), all.end(), [&](const std::string& path) { return path != a; });
  const std::string bytes = read(a);
  write(a, read(b));
  write(b, bytes);
  expect("segment-mismatch");
}

TEST_F(VerifyTest, a_segment_that_was_written_as_another) {
  rewrite_segment(a_segment(SegmentKind::kLive), [](std::vector<Entry>&) {}, 12345);
  expect_only("segment-mismatch");
}

TEST_F(VerifyTest, a_description_that_does_not_fit) {
  const uint64_t number = a_segment(SegmentKind::kLive);
  const auto fits_not = [&](const std::function<void(SegmentMeta&)>& change) {
    const SegmentMeta right = state_of(dir()).segments.at(number).meta;
    describe_otherwise(number, change);
    expect("segment-mismatch", false);
    describe_otherwise(number, [&](SegmentMeta& meta) { meta = right; });
  };
  fits_not([](SegmentMeta& meta) { ++meta.entries; });
  fits_not([](SegmentMeta& meta) { ++meta.tombstones; });
  fits_not([](SegmentMeta& meta) { ++meta.file_bytes; });
  fits_not([](SegmentMeta& meta) { meta.smallest_key += "a"; });
  fits_not([](SegmentMeta& meta) { meta.largest_key += "a"; });
  fits_not([](SegmentMeta& meta) { ++meta.min_stamp.number; });
  EXPECT_EQ(check(dir()).text(), "");
}

TEST_F(VerifyTest, filters) {
  const uint64_t number = a_segment(SegmentKind::kLive);
  const std::string path = segment_path(number);
  std::string bytes = read(path);
  const uint64_t salt = decode_segment_header(bytes.substr(0, kSegmentHeaderBytes))->salt;
  const BlockPlace place =
      decode_segment_footer(bytes.substr(bytes.size() - kSegmentFooterBytes), salt, bytes.size())->filter;
  std::string filter(place.size - kBlockTrailerBytes, '\0');
  filter.back() = 6;
  std::string sealed;
  seal_block(sealed, filter, nullptr, salt, place.offset);
  ASSERT_EQ(sealed.size(), place.size);
  write(path, bytes.replace(place.offset, place.size, sealed));
  EXPECT_EQ(check(dir(), false).text(), "");
  expect_only("filter-wrong");
}

TEST_F(VerifyTest, levels) {
  // The newest flush goes beneath all that it hides.
  change_manifest([](const ManifestState& state, ManifestEdit& edit) {
    const PlacedSegment* newest = nullptr;
    for (const auto& [number, segment] : state.segments)
      if (segment.meta.kind == SegmentKind::kLive &&
          (newest == nullptr || segment.meta.max_stamp > newest->meta.max_stamp))
        newest = &segment;
    ASSERT_EQ(newest->place, 0u);
    edit.removed_segments.push_back(newest->meta.number);
    edit.added_segments.push_back({6, newest->meta});
  });
  expect_only("level-order");
}

TEST_F(VerifyTest, stamps_beyond_head) {
  change_manifest([](const ManifestState&, ManifestEdit& edit) { edit.horizon = Versionstamp::max(); });
  expect("stamp-range");
}

TEST_F(VerifyTest, versions_beyond_what_was_flushed) {
  rewrite_segment(a_segment(SegmentKind::kLive),
                  [](std::vector<Entry>& entries) { entries.back().stamp.number += uint64_t{1} << 40; });
  expect("stamp-range");
}

TEST_F(VerifyTest, change_files) {
  const std::string path = files(".chg").front();
  const std::string bytes = read(path);
  for (const uint64_t at : {uint64_t{20}, uint64_t{50}, bytes.size() - 40, bytes.size() - 20}) {
    flip(path, at);
    expect_only("changes-damaged");
    write(path, bytes);
  }
}

TEST_F(VerifyTest, descriptions_of_change_files) {
  const ChangeFileMeta meta = state_of(dir()).changes.begin()->second;
  change_manifest([&](const ManifestState&, ManifestEdit& edit) {
    ChangeFileMeta other = meta;
    ++other.commits;
    edit.removed_changes.push_back(meta.number);
    edit.added_changes.push_back(other);
  });
  expect_only("changes-mismatch");
}

TEST_F(VerifyTest, change_files_that_overlap) {
  ASSERT_GE(state_of(dir()).changes.size(), 2u);
  const ChangeFileMeta second = std::next(state_of(dir()).changes.begin())->second;
  rewrite_changes([&](std::vector<Commit>& commits) { commits.back().stamp = second.first_stamp; });
  expect("changes-mismatch", false);
}

TEST_F(VerifyTest, a_write_without_its_version) {
  rewrite_changes(
      [](std::vector<Commit>& commits) { commits[3].writes.emplace_back(WriteKind::kPut, "never written"); });
  EXPECT_EQ(check(dir(), false).text(), "");
  expect_only("version-missing");
}

TEST_F(VerifyTest, a_version_without_its_write) {
  rewrite_changes([](std::vector<Commit>& commits) {
    for (Commit& commit : commits) {
      const auto put = std::find_if(commit.writes.begin(), commit.writes.end(),
                                    [](const auto& write) { return write.first == WriteKind::kPut; });
      if (put == commit.writes.end() || &commit == &commits.front() || &commit == &commits.back()) continue;
      commit.writes.erase(put);
      return;
    }
  });
  expect_only("version-unlisted");
}

TEST_F(VerifyTest, a_deletion_that_is_not_seen) {
  rewrite_changes([](std::vector<Commit>& commits) {
    const std::string key = commits.front().writes.front().second;
    // Between a write of the key and the next.
    for (Commit& commit : commits) {
      if (&commit == &commits.front()) continue;
      if (std::any_of(commit.writes.begin(), commit.writes.end(),
                      [&](const auto& w) { return w.second == key; }))
        break;
      commit.writes.emplace_back(WriteKind::kTombstone, key);
      return;
    }
    FAIL() << "another seed is needed";
  });
  const Checked checked = check(dir());
  EXPECT_TRUE(checked.has("erased-visible") || checked.has("version-missing")) << checked.text();
  expect("erased-visible");
}

TEST_F(VerifyTest, a_version_that_ends_too_early) {
  rewrite_segment(a_segment(SegmentKind::kHistory), [&](std::vector<Entry>& entries) {
    for (Entry& e : entries) {
      const auto next = std::next(moments_.find(e.stamp));
      // Some commit that wrote another key.
      if (e.tombstone || next == moments_.end() || next->first >= e.superseded || next->first.tail != 0)
        continue;
      e.superseded = next->first;
      return;
    }
    FAIL() << "another seed is needed";
  });
  expect("version-bound");
}

TEST_F(VerifyTest, files_that_the_system_does_not_read) {
  WatchingFileSystem watching;
  watching.fail(WatchingFileSystem::Op::kRead, ".seg", ErrorCode::kIo);
  verify::VerifyOptions options;
  std::string codes;
  options.findings = [&](const verify::Finding& finding) { codes += std::string(finding.kind.code) + " "; };
  ASSERT_TRUE(verify::verify_database(watching, dir(), options).has_value());
  EXPECT_TRUE(codes.contains("unreadable")) << codes;
}

TEST_F(VerifyTest, nothing_to_check) {
  fs::create_directory(folder_ / "empty");
  const auto empty = verify::verify_database(posix_file_system(), folder_ / "empty", {});
  ASSERT_FALSE(empty.has_value());
  EXPECT_EQ(empty.error().code, ErrorCode::kNotFound);
}

TEST_F(VerifyTest, writes_nothing) {
  const auto all = [&] {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> out;
    for (const auto& entry : fs::directory_iterator(dir()))
      out[entry.path()] = {read(entry.path()), entry.last_write_time()};
    return out;
  };
  const auto before = all();
  check(dir());
  EXPECT_TRUE(before == all());
}

// Sound stores of many shapes, while they are open, after a kill and after a close; with all that
// can happen to history.
class RandomStores : public DamagedStoreTest, public testing::WithParamInterface<int> {};

TEST_P(RandomStores, are_clean) {
  Random random(static_cast<uint64_t>(GetParam()));
  DatabaseOptions options = small_options();
  const Retention retentions[] = {Retention::forever(), Retention::none(), Retention::for_ms(5)};
  options.retention = retentions[GetParam() % 3];
  options.history_run_trigger = 2;
  if (GetParam() % 5 == 4) options.filter_bits_per_key = 0;
  open(options);
  for (int step = 0; step < 60; ++step) {
    switch (random.below(8)) {
      case 0:
        ASSERT_TRUE(db().flush().has_value());
        break;
      case 1:
        ASSERT_TRUE(db().compact().has_value());
        break;
      case 2: {
        const bool starts = db().head() == Versionstamp::min();
        const auto ingest = db().begin_ingest({.starts_history = starts});
        const uint64_t base = db().head().number + 1 + random.below(1'000'000);
        for (uint64_t part = 0; part < 2; ++part) {
          if (part == 1) {
            ASSERT_TRUE(ingest->begin_part().has_value());
          }
          auto behind =
              part == 0 && random.below(2) == 0 ? db().begin_ingest({.starts_history = starts}) : nullptr;
          for (int i = 10; i < 20; ++i) {
            const std::string key = "k" + std::to_string(i);
            Ingest& to = behind != nullptr && i >= 15 ? *behind : *ingest;
            for (uint64_t version = part == 0 ? random.below(3) + 1 : random.below(2); version > 0;
                 --version) {
              const bool erased = random.below(4) == 0;
              const Versionstamp stamp{base + 10 * part + version, static_cast<uint16_t>(random.below(3))};
              ASSERT_TRUE(
                  to.add(key, stamp, erased ? std::nullopt : std::optional<std::string_view>("ingested"))
                      .has_value());
            }
          }
          if (behind != nullptr) {
            ASSERT_TRUE(ingest->append(std::move(behind)).has_value());
          }
        }
        ASSERT_TRUE(ingest->publish({{base + 20, 0}, db().head_timestamp_ms()}).committed);
        break;
      }
      case 3:
        open(options);
        break;
      default:
        for (int i = 0; i < 60; ++i) {
          const std::string key = "k" + std::to_string(random.below(100));
          if (random.below(3) == 0)
            erase(db(), key);
          else
            put(db(), key, std::string(random.below(300), 'v'));
        }
    }
    if (step % 10 != 9) continue;
    ASSERT_TRUE(db().wait_idle().has_value());
    const std::string copy = folder_ / ("copy" + std::to_string(step));
    fs::copy(dir(), copy);
    const Checked killed = check(copy, true, random.below(2) == 0 ? 20'000 : 256 << 20);
    for (const verify::Finding& finding : killed.findings)
      EXPECT_EQ(finding.kind.severity, verify::Severity::kMinor) << killed.text();
    EXPECT_EQ(killed.summary.head, db().head());
  }
  ASSERT_TRUE(db().close().has_value());
  database_.reset();
  EXPECT_EQ(check(dir()).text(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStores, testing::Range(0, 15));

}  // namespace
}  // namespace tidemark
