// What opening a database accepts, what it refuses, and that it may be
// interrupted anywhere.
#include <atomic>
#include <thread>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/format/log_record.h"
#include "tests/engine/recovery_test.h"

namespace tidemark {
namespace {

using Op = WatchingFileSystem::Op;

class RecoveryRegressionTest : public RecoveryTest {};

// The manifest's last record says which log file is the newest: without it,
// what that holds must not be dropped.
TEST_F(RecoveryRegressionTest,
       after_a_clean_close_damage_in_the_last_manifest_record_loses_nothing_silently) {
  for (const bool large_log : {false, true}) {
    DatabaseOptions options = small_options();
    options.memtable_bytes = 32 << 20;
    std::filesystem::remove_all(dir_);
    open(options);
    const int first = large_log ? 40 : 1;
    for (int i = 0; i < first; ++i)
      ASSERT_TRUE(put(db(), "large/" + std::to_string(i), std::string(40'000, 'x')).committed);
    open(options);  // a large log is kept, a small one copied
    ASSERT_TRUE(put(db(), "key", "value").committed);
    database_.reset();
    copy_folder(dir_, copy_);
    const std::string manifest = copy_ + "/" + files_starting(copy_, "MANIFEST-").back();
    std::string bytes = read_bytes(manifest);
    uint64_t last = 0;
    for (uint64_t at = kLogHeaderBytes; at < bytes.size();
         at += record_bytes(load_le32(bytes.data() + at + 4)))
      last = at;
    bytes[last + kRecordHeaderBytes] = static_cast<char>(bytes[last + kRecordHeaderBytes] ^ 1);
    write_bytes(manifest, bytes);
    auto opened = try_open(copy_, options);
    if (!opened) {
      EXPECT_EQ(opened.error().code, ErrorCode::kCorruption) << opened.error().message;
      continue;
    }
    EXPECT_EQ(get(*(*opened)->read(), "key"), "value") << "large log: " << large_log;
  }
}

TEST_F(RecoveryRegressionTest, a_missing_file_is_named) {
  open(small_options());
  for (int i = 0; i < 400; ++i)
    ASSERT_TRUE(put(db(), "key/" + std::to_string(i % 50), std::string(100, 'v')).committed);
  ASSERT_TRUE(db().flush().has_value());
  ASSERT_TRUE(put(db(), "last", "x").committed);
  database_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    const std::string name = entry.path().filename();
    if (name == "LOCK") continue;
    copy_folder(dir_, copy_);
    std::filesystem::remove(copy_ + "/" + name);
    const auto before = files_starting(copy_, "");
    EXPECT_EQ(code_of_open(copy_), ErrorCode::kCorruption) << name << ": " << message_;
    EXPECT_NE(message_.find(name), std::string::npos) << message_;
    EXPECT_EQ(files_starting(copy_, ""), before) << "without " << name << " something was written or removed";
  }
}

// A process that dies while it begins a log file leaves one that never counted.
TEST_F(RecoveryRegressionTest, a_log_file_that_never_began_is_in_nobodys_way) {
  DatabaseOptions options = small_options();
  options.memtable_bytes = 32 << 20;
  open(options);
  for (int i = 0; i < 60; ++i)
    ASSERT_TRUE(put(db(), "key/" + std::to_string(i), std::string(30'000, 'v')).committed);
  const KeyValues expected = contents(db());
  copy_folder(dir_, copy_);
  database_.reset();
  write_bytes(copy_ + "/900002.wal", std::string(128 << 10, '\0'));
  for (int i = 0; i < 3; ++i) {
    auto opened = try_open(copy_, options);
    ASSERT_TRUE(opened.has_value()) << "opening " << i << ": " << opened.error().message;
    EXPECT_EQ(contents(**opened), expected);
  }
  EXPECT_FALSE(std::filesystem::exists(copy_ + "/900002.wal"));
}

class PowerLossRegressionTest : public WatchedDatabaseTest {
 protected:
  PowerLossRegressionTest() : WatchedDatabaseTest(true) {}
};

// A process reads back a manifest record whose sync failed, and acts on it; then power is lost.
TEST_F(PowerLossRegressionTest, recovery_removes_no_file_that_the_manifest_on_the_disk_still_needs) {
  open(small_options());
  ASSERT_TRUE(put(db(), "key", "value").committed);
  fs_.fail(Op::kSync, "MANIFEST", ErrorCode::kIo, 1);  // the first one brings the new log file
  EXPECT_FALSE(db().flush().has_value());
  database_.reset();
  fs_.clear_faults();
  int losses = 0;
  const std::string lost = folder_ / "lost";
  const auto engine = Engine::create({});
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op == Op::kOpen || call.op == Op::kRead) return {};
    ++losses;
    fs_.write_power_loss(dir_, lost);
    const auto opened = Database::open(*engine, lost, small_options());
    if (!opened)
      ADD_FAILURE() << "before a call on " << call.path << ": " << opened.error().message;
    else
      EXPECT_EQ(get(*(*opened)->read(), "key"), "value");
    std::filesystem::remove_all(lost);
    return {};
  });
  const auto opened = try_open(dir_, small_options());
  fs_.set_hook({});
  EXPECT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_GT(losses, 10);
}

// The process that made the folder could not make its entry durable, and the next one finds the folder there.
TEST_F(PowerLossRegressionTest, a_folder_that_was_there_before_its_database_is_made_durable) {
  std::vector<std::string> synced;
  fs_.fail(Op::kSyncDir, std::filesystem::path(dir_).parent_path().filename(), ErrorCode::kIo, 0, 1);
  EXPECT_EQ(code_of_open(dir_), ErrorCode::kIo);
  ASSERT_TRUE(std::filesystem::exists(dir_));
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op == Op::kSyncDir) synced.push_back(call.path);
    return {};
  });
  open(small_options());
  fs_.set_hook({});
  ASSERT_FALSE(synced.empty());
  EXPECT_EQ(synced.front(), std::filesystem::path(dir_).parent_path());
}

// The log's new file and a merge's segments are synced into one folder. When that fails for the one, what the
// disk holds of the other is in doubt, too, though its own sync succeeds.
TEST_F(PowerLossRegressionTest, after_a_failed_sync_of_the_folder_no_other_one_counts) {
  DatabaseOptions options = small_options();
  options.memtable_bytes = 1 << 20;
  options.level0_compaction_trigger = 2;
  open(options);
  ASSERT_TRUE(put(db(), "key", "value").committed);
  ASSERT_TRUE(db().flush().has_value());
  Gate merging, go_on;
  std::atomic<int> segments = 0;
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    // The first is the flush's.
    if (call.op != Op::kSync || !call.path.ends_with(".seg") || ++segments != 2) return {};
    merging.open();
    EXPECT_TRUE(go_on.wait());
    return {};
  });
  ASSERT_TRUE(put(db(), "key", "newer").committed);
  std::thread flusher([&] { (void)db().flush().has_value(); });
  EXPECT_TRUE(merging.wait());
  ASSERT_TRUE(put(db(), "key", "newest").committed);
  const uint64_t before = fs_.count(Op::kWrite, "MANIFEST");
  fs_.fail(Op::kSyncDir, "db", ErrorCode::kIo, 0, 1);
  EXPECT_FALSE(db().flush().has_value());
  go_on.open();
  flusher.join();
  EXPECT_FALSE(db().wait_idle().has_value());
  fs_.set_hook({});
  EXPECT_EQ(fs_.count(Op::kWrite, "MANIFEST"), before);
  EXPECT_EQ(get(*db().read(), "key"), "newest");
}

class ForeignFolderRegressionTest : public RecoveryRegressionTest,
                                    public ::testing::WithParamInterface<std::vector<const char*>> {};

TEST_P(ForeignFolderRegressionTest, is_refused_and_left_alone) {
  std::filesystem::create_directory(dir_);
  for (const char* name : GetParam()) write_bytes(dir_ + "/" + name, "MANIFEST-000002\n");
  const auto before = files_starting(dir_, "");
  EXPECT_EQ(code_of_open(dir_), ErrorCode::kInvalidArgument) << message_;
  EXPECT_EQ(files_starting(dir_, ""), before);
  for (const char* name : GetParam()) EXPECT_EQ(read_bytes(dir_ + "/" + name), "MANIFEST-000002\n") << name;
}

INSTANTIATE_TEST_SUITE_P(kinds, ForeignFolderRegressionTest,
                         ::testing::Values(std::vector{"notes.tmp"},
                                           std::vector{"CURRENT", "LOCK", "LOG", "MANIFEST-000002",
                                                       "000003.log"}));

// Recovery is stopped by a failure after each of its steps in turn, and run
// again.
class InterruptedRecoveryRegressionTest : public RecoveryRegressionTest,
                                          public ::testing::WithParamInterface<bool> {};

TEST_P(InterruptedRecoveryRegressionTest, gives_the_same_state_as_if_it_had_not_been_interrupted) {
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

INSTANTIATE_TEST_SUITE_P(large_logs, InterruptedRecoveryRegressionTest, ::testing::Values(true));

}  // namespace
}  // namespace tidemark
