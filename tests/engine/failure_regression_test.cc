// What the database does when the machine refuses: nothing acknowledged is
// lost, nothing refused is seen.
#include "tests/engine/failure_test.h"

namespace tidemark {
namespace {

using Op = WatchingFileSystem::Op;

class FailureRegressionTest : public FailureTest {};

// Each refusal for want of a new log file must leave nothing that recovery
// trips over.
TEST_F(FailureRegressionTest, refusals_for_want_of_a_log_file_leave_nothing_behind) {
  ASSERT_NO_FATAL_FAILURE(open(small_options()));
  fs_.fail(Op::kCreate, ".seg",
           ErrorCode::kNoSpace);  // the log cannot be flushed away
  fs_.fail(Op::kAllocate, ".wal", ErrorCode::kNoSpace);
  Status refused = fill_until_refused(5000);
  ASSERT_FALSE(refused.has_value());
  ASSERT_EQ(refused.error().code, ErrorCode::kNoSpace);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(put(db(), "refused", "x").status.has_value());
  EXPECT_LE(files_ending(dir_, ".wal").size(), 2u);
  fs_.clear_faults();
  fs_.fail(Op::kCreate, ".seg", ErrorCode::kNoSpace);
  const CommitOutcome outcome = put(db(), "taken", "y");
  ASSERT_TRUE(outcome.committed) << why(outcome.status);
  acknowledged_["taken"] = "y";
  const std::string copy = folder_ / "copy";
  copy_folder(dir_, copy);
  auto opened = try_open(copy, small_options());
  fs_.clear_faults();
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_EQ(contents(**opened), acknowledged_);
}

// A flush must not take the log files that a memtable came from out of use
// before the next log file has begun: if that fails, recovery needs one of
// them.
TEST_F(FailureRegressionTest, a_flush_that_overtakes_the_start_of_the_next_log_file_loses_nothing) {
  DatabaseOptions options = small_options();
  options.max_frozen_memtables = 8;
  open(options);
  Gate flush_may_go;
  std::atomic<bool> starts_fail = false;
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op == Op::kCreate && call.path.ends_with(".seg")) (void)flush_may_go.wait();
    if (starts_fail && call.op == Op::kWrite && call.offset == 0 && call.path.ends_with(".wal"))
      return fail(ErrorCode::kIo, "the disk is gone");
    return {};
  });
  while (files_ending(dir_, ".wal").size() < 3) {
    ASSERT_TRUE(fill_until_refused(1).has_value());
  }
  starts_fail = true;
  ASSERT_FALSE(fill_until_refused(1000).has_value());
  flush_may_go.open();
  (void)db().wait_idle().has_value();
  ASSERT_NO_FATAL_FAILURE(reopen());
  expect_acknowledged();
}

// A flush that fails for good while a batch is being validated, which then
// finds no room.
TEST_F(FailureRegressionTest, commits_that_wait_for_a_flush_are_answered_when_it_fails) {
  DatabaseOptions options = small_options();
  options.max_frozen_memtables = 1;
  open(options);
  Gate flush_may_fail;
  fs_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    if (call.op != Op::kCreate || !call.path.ends_with(".seg")) return {};
    (void)flush_may_fail.wait();
    return fail(ErrorCode::kIo, "the disk is gone");
  });
  while (files_ending(dir_, ".wal").size() < 2) {
    ASSERT_TRUE(fill_until_refused(1).has_value());
  }
  using Decision = CommitRequest::Decision;
  Gate first_runs, first_goes;
  Submitted first([&](Transaction& t) -> Result<Decision> {
    first_runs.open();
    EXPECT_TRUE(first_goes.wait());
    t.put("a", "1");
    return Decision::kCommit;
  });
  Submitted second([&](Transaction& t) -> Result<Decision> {
    t.put("large", std::string(64 << 10, 'x'));
    flush_may_fail.open();
    EXPECT_TRUE(eventually([&] { return logged("background work stopped"); }));
    system_clock().sleep_us(50'000);  // the refusal follows the log line at once
    return Decision::kCommit;
  });
  Submitted third([&](Transaction& t) -> Result<Decision> {
    t.put("b", "1");
    return Decision::kCommit;
  });
  db().submit(first);
  ASSERT_TRUE(first_runs.wait());
  db().submit(second);
  db().submit(third);
  first_goes.open();
  ASSERT_TRUE(second.wait());
  const bool answered = third.wait();
  if (!answered) _exit(99);  // closing would wait for ever too
  ASSERT_FALSE(third.outcome().status.has_value());
  EXPECT_EQ(third.outcome().status.error().code, ErrorCode::kReadOnly);
  ASSERT_NO_FATAL_FAILURE(reopen());
}

class FailingSyncRegressionTest
    : public FailureRegressionTest,
      public ::testing::WithParamInterface<std::tuple<Op, const char*, uint64_t>> {};

// A flush, a merge or the manifest meets a broken disk: writes end, all that
// was acknowledged is there after reopening.
TEST_P(FailingSyncRegressionTest, ends_writing_and_loses_nothing) {
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

INSTANTIATE_TEST_SUITE_P(places, FailingSyncRegressionTest,
                         ::testing::Values(std::tuple{Op::kSync, "MANIFEST", 0},
                                           std::tuple{Op::kSync, "MANIFEST", 1},
                                           std::tuple{Op::kSync, "MANIFEST", 2},
                                           std::tuple{Op::kSync, "MANIFEST", 5}));

}  // namespace
}  // namespace tidemark
