// What opening a database accepts, what it refuses, and that it may be interrupted anywhere.
#include "tests/engine/recovery_test.h"

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/format/log_record.h"

namespace tidemark {
namespace {

using Op = WatchingFileSystem::Op;

TEST_F(RecoveryTest, a_last_record_torn_at_any_byte_costs_that_record_only) {
  const auto offsets = crash_with_ten_commits(false);
  ASSERT_EQ(offsets.size(), 11u);
  const std::string whole = read_bytes(newest_wal(copy_));
  Random random(7);
  const uint64_t payload_end = offsets[9] + kRecordHeaderBytes + load_le32(whole.data() + offsets[9] + 4);
  for (uint64_t cut = offsets[9]; cut < payload_end; ++cut) {
    for (const int garbage : {0, 1, 2}) {
      std::string torn = whole.substr(0, cut);
      if (garbage == 1) torn.resize(whole.size(), '\0');
      if (garbage == 2) {
        torn += static_cast<char>(~whole[cut]);
        while (torn.size() < offsets[10] + 64) torn += static_cast<char>(random.next());
      }
      auto opened = open_with_log(torn);
      ASSERT_TRUE(opened.has_value()) << "cut at " << cut << ": " << opened.error().message;
      expect_first(**opened, 9, "cut at " + std::to_string(cut) + " with garbage " + std::to_string(garbage));
    }
  }
}

TEST_F(RecoveryTest, damage_below_a_promise_is_reported_with_file_and_offset) {
  const auto offsets = crash_with_ten_commits(false);
  const std::string whole = read_bytes(newest_wal(copy_));
  for (uint64_t at = 0; at < offsets[9]; at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    auto opened = open_with_log(damaged);
    if (opened.has_value()) {
      // Only padding behind a payload is of no account.
      expect_first(**opened, 10, "flipped at " + std::to_string(at));
      continue;
    }
    ASSERT_TRUE(opened.error().code == ErrorCode::kCorruption || (at < kLogHeaderBytes))
        << opened.error().message;
    EXPECT_NE(opened.error().message.find(".wal at offset"), std::string::npos) << opened.error().message;
  }
}

TEST_F(RecoveryTest, after_a_clean_close_damage_in_the_last_commit_is_not_a_tear) {
  const auto offsets = crash_with_ten_commits(true);
  ASSERT_EQ(offsets.size(), 12u);  // the last is the final promise
  const std::string whole = read_bytes(newest_wal(copy_));
  const uint64_t payload_end = offsets[9] + kRecordHeaderBytes + load_le32(whole.data() + offsets[9] + 4);
  for (uint64_t at = offsets[9]; at < payload_end; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    auto opened = open_with_log(damaged);
    ASSERT_FALSE(opened.has_value()) << "flipped at " << at;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorruption);
  }
}

TEST_F(RecoveryTest, newer_format_versions_are_refused) {
  open(small_options());
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(put(db(), "key/" + std::to_string(i), std::string(100, 'v')).committed);
  ASSERT_TRUE(db().flush().has_value());
  ASSERT_TRUE(put(db(), "last", "x").committed);
  database_.reset();
  const auto raise = [&](const std::string& name, size_t checksum_at) {
    copy_folder(dir_, copy_);
    std::string bytes = read_bytes(copy_ + "/" + name);
    store_le32(bytes.data() + 8, 2);
    store_le64(bytes.data() + checksum_at, xxh3(std::string_view(bytes).substr(0, checksum_at)));
    write_bytes(copy_ + "/" + name, bytes);
  };
  raise("CURRENT", 40);
  EXPECT_EQ(code_of_open(copy_), ErrorCode::kNewerFormat) << message_;
  raise(files_starting(dir_, "MANIFEST-").back(), 56);
  EXPECT_EQ(code_of_open(copy_), ErrorCode::kNewerFormat) << message_;
  raise(files_ending(dir_, ".wal").back(), 56);
  EXPECT_EQ(code_of_open(copy_), ErrorCode::kNewerFormat) << message_;
  // A segment's header is read when the segment is.
  raise(files_ending(dir_, ".seg").back(), 24);
  auto opened = try_open(copy_, small_options());
  if (!opened) {
    EXPECT_EQ(opened.error().code, ErrorCode::kNewerFormat);
    return;
  }
  auto cursor = (*opened)->read()->scan({});
  Result<bool> more = true;
  while (more && *more) more = cursor->next();
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().code, ErrorCode::kNewerFormat);
}

class ForeignFolderTest : public RecoveryTest,
                          public ::testing::WithParamInterface<std::vector<const char*>> {};

TEST_P(ForeignFolderTest, is_refused_and_left_alone) {
  std::filesystem::create_directory(dir_);
  for (const char* name : GetParam()) write_bytes(dir_ + "/" + name, "MANIFEST-000002\n");
  const auto before = files_starting(dir_, "");
  EXPECT_EQ(code_of_open(dir_), ErrorCode::kInvalidArgument) << message_;
  EXPECT_EQ(files_starting(dir_, ""), before);
  for (const char* name : GetParam()) EXPECT_EQ(read_bytes(dir_ + "/" + name), "MANIFEST-000002\n") << name;
}

INSTANTIATE_TEST_SUITE_P(kinds, ForeignFolderTest,
                         ::testing::Values(std::vector{"notes.txt"}, std::vector{"LOCK", "data.mdb"}));

TEST_F(RecoveryTest, a_folder_that_is_missing_or_empty_is_not_found_unless_it_may_be_created) {
  DatabaseOptions options = small_options();
  options.create_if_missing = false;
  EXPECT_EQ(code_of_open(dir_, options), ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(dir_));
  std::filesystem::create_directory(dir_);
  EXPECT_EQ(code_of_open(dir_, options), ErrorCode::kNotFound);
}

TEST_F(RecoveryTest, one_process_at_a_time) {
  open(small_options());
  EXPECT_EQ(code_of_open(dir_), ErrorCode::kLocked);
  database_.reset();
  open(small_options());
}

TEST_F(RecoveryTest, records_of_another_file_never_pass) {
  const auto offsets = crash_with_ten_commits(false);
  const std::string whole = read_bytes(newest_wal(copy_));
  // A recycled file: a header of its own and the old records behind it.
  auto header = decode_log_header(whole, LogKind::kWal);
  ASSERT_TRUE(header.has_value());
  const uint64_t salt = log_salt(LogKind::kWal, header->database_id, header->file_number);
  const uint64_t other = log_salt(LogKind::kWal, header->database_id, header->file_number + 1);
  const uint64_t other_kind = log_salt(LogKind::kManifest, header->database_id, header->file_number);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(read_record(whole, salt, offsets[i]).has_value());
    EXPECT_FALSE(read_record(whole, other, offsets[i]).has_value());
    EXPECT_FALSE(read_record(whole, other_kind, offsets[i]).has_value());
  }
  EXPECT_EQ(largest_promise_after(whole, other, kLogHeaderBytes), 0u);
  // Nor do they at another place of their own file.
  std::string moved = whole;
  moved.replace(offsets[9], offsets[9] - offsets[8], whole, offsets[8], offsets[9] - offsets[8]);
  auto opened = open_with_log(moved);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  expect_first(**opened, 9, "moved");
}

// Recovery is stopped by a failure after each of its steps in turn, and run again.
class InterruptedRecoveryTest : public RecoveryTest, public ::testing::WithParamInterface<bool> {};

TEST_P(InterruptedRecoveryTest, gives_the_same_state_as_if_it_had_not_been_interrupted) {
  const bool large_log = GetParam();
  DatabaseOptions options = small_options();
  options.memtable_bytes = 32 << 20;
  open(options);
  const int count = large_log ? 60 : 20;
  for (int i = 0; i < count; ++i)
    ASSERT_TRUE(put(db(), "key/" + std::to_string(i), std::string(large_log ? 30'000 : 100, 'v')).committed);
  const KeyValues expected = contents(db());
  const Versionstamp head = db().head();
  copy_folder(dir_, copy_);
  database_.reset();
  const std::string once = folder_ / "once", again = folder_ / "again";
  copy_folder(copy_, again);
  for (uint64_t step = 0;; ++step) {
    copy_folder(copy_, once);
    bool interrupted = false;
    for (const std::string& dir : {once, again}) {
      SCOPED_TRACE("interrupted at step " + std::to_string(step) +
                   (dir == once ? "" : " of every attempt before"));
      const uint64_t failures = fs_.failures();
      fs_.fail_any(ErrorCode::kIo, step, false);
      auto opened = try_open(dir, options);
      const bool failed = fs_.failures() > failures;
      fs_.clear_faults();
      if (opened) opened->reset();
      interrupted |= failed;
      for (int attempt = 0; attempt < 3; ++attempt) {
        opened = try_open(dir, options);
        ASSERT_TRUE(opened.has_value()) << "attempt " << attempt << ": " << opened.error().message;
        ASSERT_EQ(contents(**opened), expected);
        ASSERT_EQ((*opened)->head(), head);
        opened->reset();
      }
    }
    if (!interrupted) break;
    ASSERT_LT(step, 60u);
  }
}

INSTANTIATE_TEST_SUITE_P(small_logs, InterruptedRecoveryTest, ::testing::Values(false));

TEST_F(RecoveryTest, reopening_often_piles_up_no_files_and_leftovers_go) {
  open(small_options());
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(put(db(), "key/" + std::to_string(i % 70), std::string(100, 'v')).committed);
  ASSERT_TRUE(db().compact().has_value());
  KeyValues expected = contents(db());
  database_.reset();
  size_t files = 0;
  for (int i = 0; i < 15; ++i) {
    for (const char* name : {"/900000.seg", "/900001.chg", "/900002.wal", "/MANIFEST-900003", "/CURRENT.tmp"})
      write_bytes(dir_ + name, "left behind");
    open(small_options());
    ASSERT_EQ(contents(db()), expected);
    ASSERT_TRUE(put(db(), "again", std::to_string(i)).committed);
    expected["again"] = std::to_string(i);
    database_.reset();
    for (const char* name : {"/900000.seg", "/900001.chg", "/900002.wal", "/MANIFEST-900003", "/CURRENT.tmp"})
      EXPECT_FALSE(std::filesystem::exists(dir_ + name)) << name;
    const size_t now = files_starting(dir_, "").size();
    if (i > 0) {
      EXPECT_EQ(now, files);
    }
    files = now;
  }
}

}  // namespace
}  // namespace tidemark
