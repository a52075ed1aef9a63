// What the database does when the machine refuses: nothing acknowledged is lost, nothing refused is seen.
#include "tests/engine/failure_test.h"

namespace tidemark {
namespace {

using Op = WatchingFileSystem::Op;

TEST_F(FailureTest, a_failed_sync_of_the_log_ends_writing_but_not_reading) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(put(db(), "before", "1").committed);
  fs_.fail(Op::kSync, ".wal", ErrorCode::kIo, 0, 1);
  const CommitOutcome failed = put(db(), "doubtful", "2");
  ASSERT_FALSE(failed.status.has_value());
  EXPECT_EQ(failed.status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_FALSE(failed.committed);
  // Later syncs would succeed: nothing is tried again over lost pages.
  const uint64_t syncs = fs_.count(Op::kSync, ".wal");
  const CommitOutcome later = put(db(), "later", "3");
  ASSERT_FALSE(later.status.has_value());
  EXPECT_EQ(later.status.error().code, ErrorCode::kReadOnly);
  EXPECT_EQ(fs_.count(Op::kSync, ".wal"), syncs);
  EXPECT_EQ(get(*db().read(), "before"), "1");
  EXPECT_EQ(get(*db().read(), "doubtful"), std::nullopt);
  const Versionstamp head = db().head();
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_GE(db().head(), head);
  EXPECT_EQ(get(*db().read(), "before"), "1");
  EXPECT_EQ(get(*db().read(), "later"), std::nullopt);
  EXPECT_TRUE(put(db(), "after", "4").committed);
}

TEST_F(FailureTest, whatever_saw_a_group_whose_sync_failed_is_not_answered_as_success) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(put(db(), "k", "0").committed);
  Gate in_sync, go_on;
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op != Op::kSync || !call.path.ends_with(".wal")) return {};
    in_sync.open();
    (void)go_on.wait();
    return fail(ErrorCode::kIo, "the disk is gone");
  });
  using Decision = CommitRequest::Decision;
  Submitted first([](Transaction& t) -> Result<Decision> {
    t.put("k", "1");
    return Decision::kCommit;
  });
  Gate seen;
  Submitted failed_check([&](Transaction& t) -> Result<Decision> {
    auto found = t.get("k");
    EXPECT_TRUE(found && *found && (*found)->bytes == "1");
    seen.open();
    return Decision::kAbort;
  });
  Submitted empty([](Transaction&) -> Result<Decision> { return Decision::kCommit; });
  db().submit(first);
  ASSERT_TRUE(in_sync.wait());
  db().submit(failed_check);
  db().submit(empty);
  ASSERT_TRUE(seen.wait());
  go_on.open();
  for (auto* request : {&first.outcome()}) {
    ASSERT_TRUE(first.wait());
    ASSERT_FALSE(request->status.has_value());
    EXPECT_EQ(request->status.error().code, ErrorCode::kUnknownOutcome);
  }
  ASSERT_TRUE(failed_check.wait());
  ASSERT_TRUE(empty.wait());
  ASSERT_FALSE(failed_check.outcome().status.has_value());
  EXPECT_EQ(failed_check.outcome().status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_FALSE(empty.outcome().status.has_value());
  EXPECT_FALSE(empty.outcome().committed);
  ASSERT_NO_FATAL_FAILURE(reopen());
}

TEST_F(FailureTest, a_failed_write_of_the_log_is_no_commit_that_anyone_sees) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(fill_until_refused(20).has_value());
  fs_.fail(Op::kWrite, ".wal", ErrorCode::kIo, 0, 1);
  const CommitOutcome failed = put(db(), "doubtful", "2");
  ASSERT_FALSE(failed.status.has_value());
  EXPECT_EQ(failed.status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(get(*db().read(), "doubtful"), std::nullopt);
  ASSERT_NO_FATAL_FAILURE(reopen());
  expect_acknowledged();
}

TEST_F(FailureTest, a_full_disk_refuses_definitely_and_lets_writes_back_when_there_is_room) {
  DatabaseOptions options = small_options();
  options.memtable_bytes = 8 << 20;
  open(options);
  fs_.fail(Op::kAllocate, ".wal", ErrorCode::kNoSpace);
  const Status refused = fill_until_refused(1000, 4000);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace);
  const KeyValues before = contents(db());
  EXPECT_EQ(before, acknowledged_);
  const Versionstamp head = db().head();
  const CommitOutcome again = put(db(), "refused", std::string(4000, 'x'));
  ASSERT_FALSE(again.status.has_value());
  EXPECT_EQ(again.status.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(db().head(), head);
  fs_.clear_faults();
  ASSERT_TRUE(fill_until_refused(100, 4000).has_value());
  EXPECT_EQ(contents(db()), acknowledged_);
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_EQ(contents(db()), acknowledged_);
}

TEST_F(FailureTest, a_disk_full_for_flushes_refuses_writes_until_there_is_room) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  fs_.fail(Op::kCreate, ".seg", ErrorCode::kNoSpace);
  Status refused = fill_until_refused(5000);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(contents(db()), acknowledged_);
  fs_.clear_faults();
  // A write may get in as soon as there is room for it; that all do is said a moment later.
  ASSERT_TRUE(eventually([&] { return put(db(), "room", "again").committed; }));
  acknowledged_["room"] = "again";
  ASSERT_TRUE(eventually([&] { return logged("has room again"); }));
  ASSERT_TRUE(fill_until_refused(300).has_value());
  EXPECT_EQ(contents(db()), acknowledged_);
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_EQ(contents(db()), acknowledged_);
}

// As above, but the database is closed while the disk is full.
TEST_F(FailureTest, a_database_that_is_closed_on_a_full_disk_opens_again) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  fs_.fail(Op::kCreate, ".seg", ErrorCode::kNoSpace);
  ASSERT_FALSE(fill_until_refused(5000).has_value());
  ASSERT_NO_FATAL_FAILURE(reopen());
  EXPECT_EQ(contents(db()), acknowledged_);
}

class FailingPartTest : public FailureTest,
                        public ::testing::WithParamInterface<std::tuple<Op, const char*, uint64_t>> {};

// A flush, a merge or the manifest meets a broken disk: writes end, all that was acknowledged is there after
// reopening.
TEST_P(FailingPartTest, ends_writing_and_loses_nothing) {
  const auto [op, part, skip] = GetParam();
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  ASSERT_TRUE(fill_until_refused(200).has_value());
  fs_.fail(op, part, ErrorCode::kIo, skip);
  Status refused;
  for (int i = 0; i < 60 && refused; ++i) refused = fill_until_refused(50);
  ASSERT_FALSE(refused.has_value()) << "nothing failed";
  EXPECT_TRUE(refused.error().code == ErrorCode::kReadOnly ||
              refused.error().code == ErrorCode::kUnknownOutcome)
      << refused.error().message;
  const CommitOutcome later = put(db(), "later", "x");
  ASSERT_FALSE(later.status.has_value());
  EXPECT_EQ(later.status.error().code, ErrorCode::kReadOnly);
  expect_acknowledged();
  ASSERT_NO_FATAL_FAILURE(reopen());
  expect_acknowledged();
  EXPECT_EQ(get(*db().read(), "later"), std::nullopt);
  ASSERT_TRUE(fill_until_refused(300).has_value());
  ASSERT_TRUE(db().compact().has_value());
  expect_acknowledged();
}

INSTANTIATE_TEST_SUITE_P(
    places, FailingPartTest,
    ::testing::Values(std::tuple{Op::kCreate, ".seg", 0}, std::tuple{Op::kWrite, ".seg", 0},
                      std::tuple{Op::kSync, ".seg", 0}, std::tuple{Op::kSync, ".seg", 3},
                      std::tuple{Op::kSync, ".seg", 6}, std::tuple{Op::kCreate, ".chg", 0},
                      std::tuple{Op::kWrite, ".chg", 0}, std::tuple{Op::kSync, ".chg", 1},
                      std::tuple{Op::kWrite, "MANIFEST", 0}, std::tuple{Op::kWrite, "MANIFEST", 1},
                      std::tuple{Op::kSyncDir, "db", 0}, std::tuple{Op::kSyncDir, "db", 1},
                      std::tuple{Op::kSyncDir, "db", 2}, std::tuple{Op::kSync, ".wal", 70},
                      std::tuple{Op::kWrite, ".wal", 70}));

TEST_F(FailureTest, a_log_file_that_cannot_be_created_is_a_definite_refusal) {
  open(small_options());
  fs_.fail(Op::kCreate, ".wal", ErrorCode::kIo);
  const Status refused = fill_until_refused(2000);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_EQ(contents(db()), acknowledged_);
  fs_.clear_faults();
  ASSERT_TRUE(fill_until_refused(500).has_value());
  EXPECT_EQ(contents(db()), acknowledged_);
  reopen();
  EXPECT_EQ(contents(db()), acknowledged_);
}

}  // namespace
}  // namespace tidemark
