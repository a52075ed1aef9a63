// Atomic writes on a real engine.
#include <gtest/gtest.h>

#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;
using test::TestStore;
using test::WriteOutcome;

std::string wire(Versionstamp stamp) {
  const auto bytes = stamp.bytes();
  return {bytes.data(), bytes.size()};
}

TEST(Write, SetsAndGets) {
  TestStore store;
  EXPECT_FALSE(store.get("k"));
  const Versionstamp stamp = store.set("k", "v");
  const auto entry = store.get("k");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->data, "v");
  EXPECT_EQ(entry->encoding, Encoding::kBytes);
  EXPECT_EQ(entry->versionstamp, stamp);
  EXPECT_EQ(stamp.tail, 0);
}

TEST(Write, KeepsEncodingsAndEmptyValuesAndKeys) {
  TestStore store;
  store.write(
      {{},
       {set_mutation("v8", "\xff\x0f_", Encoding::kV8), set_mutation("u64", "12345678", Encoding::kLe64),
        set_mutation("", "the empty key"), set_mutation("empty", "")},
       {}});
  EXPECT_EQ(store.get("v8")->encoding, Encoding::kV8);
  EXPECT_EQ(store.get("u64")->encoding, Encoding::kLe64);
  EXPECT_EQ(store.get("")->data, "the empty key");
  EXPECT_EQ(store.get("empty")->data, "");
}

TEST(Write, OneVersionstampForAll) {
  TestStore store;
  const WriteOutcome outcome = store.write({{}, {set_mutation("a", "1"), set_mutation("b", "2")}, {}});
  EXPECT_EQ(store.get("a")->versionstamp, outcome.commit.versionstamp);
  EXPECT_EQ(store.get("b")->versionstamp, outcome.commit.versionstamp);
}

TEST(Write, VersionstampsIncreaseWhateverTheClockDoes) {
  TestStore store;
  const Versionstamp first = store.set("k", "1");
  store.clock().set_ms(1'600'000'000'000);  // years back
  const Versionstamp second = store.set("k", "2");
  EXPECT_GT(second, first);
}

TEST(Write, LastMutationOfAKeyWins) {
  TestStore store;
  store.write({{}, {set_mutation("k", "1"), delete_mutation("k"), set_mutation("k", "2")}, {}});
  EXPECT_EQ(store.get("k")->data, "2");
  store.write({{}, {set_mutation("k", "3"), delete_mutation("k")}, {}});
  EXPECT_FALSE(store.get("k"));
}

TEST(Write, DeletesWhatIsThereAndWhatIsNot) {
  TestStore store;
  store.set("k", "v");
  Mutation with_value = set_mutation("k", "ignored");
  with_value.type = MutationType::kDelete;
  EXPECT_TRUE(store.write({{}, {with_value, delete_mutation("other")}, {}}).commit.committed);
  EXPECT_FALSE(store.get("k"));
}

TEST(Write, AnEmptyWriteGetsANewVersionstamp) {
  TestStore store;
  const Versionstamp before = store.set("k", "v");
  const WriteOutcome first = store.write({});
  const WriteOutcome second = store.write({});
  EXPECT_TRUE(first.commit.committed);
  EXPECT_GT(first.commit.versionstamp, before);
  EXPECT_GT(second.commit.versionstamp, first.commit.versionstamp);
  EXPECT_EQ(store.get("k")->versionstamp, before);
}

TEST(Write, ChecksCompareVersionstamps) {
  TestStore store;
  const std::string old = wire(store.set("k", "1"));
  const std::string now = wire(store.set("k", "2"));
  EXPECT_FALSE(store.write({{{"k", old}}, {set_mutation("k", "3")}, {}}).commit.committed);
  EXPECT_EQ(store.get("k")->data, "2");
  EXPECT_TRUE(store.write({{{"k", now}}, {set_mutation("k", "3")}, {}}).commit.committed);
  EXPECT_EQ(store.get("k")->data, "3");
}

TEST(Write, ChecksCompareTheTailToo) {
  TestStore store;
  std::string stamp = wire(store.set("k", "1"));
  stamp.back() = 1;
  EXPECT_FALSE(store.write({{{"k", stamp}}, {}, {}}).commit.committed);
}

TEST(Write, AnEmptyVersionstampMeansAbsent) {
  TestStore store;
  EXPECT_TRUE(store.write({{{"k", ""}}, {set_mutation("k", "1")}, {}}).commit.committed);
  EXPECT_FALSE(store.write({{{"k", ""}}, {set_mutation("k", "2")}, {}}).commit.committed);
  store.erase("k");
  EXPECT_TRUE(store.write({{{"k", ""}}, {set_mutation("k", "3")}, {}}).commit.committed);
}

TEST(Write, AStampNeverMatchesAnAbsentKey) {
  TestStore store;
  const std::string stamp = wire(store.set("k", "1"));
  store.erase("k");
  EXPECT_FALSE(store.write({{{"k", stamp}}, {}, {}}).commit.committed);
  EXPECT_FALSE(store.write({{{"never", std::string(10, '\0')}}, {}, {}}).commit.committed);
}

TEST(Write, AllFailedChecksAreNamedAndNothingIsWritten) {
  TestStore store;
  const std::string stamp = wire(store.set("there", "v"));
  const Versionstamp head = store.database().head();
  const WriteOutcome outcome =
      store.write({{{"there", ""}, {"there", stamp}, {"gone", stamp}, {"gone", ""}, {"there", ""}},
                   {set_mutation("new", "x"), delete_mutation("there")},
                   {}});
  EXPECT_FALSE(outcome.commit.committed);
  EXPECT_EQ(outcome.failed_checks, (std::vector<uint32_t>{0, 2, 4}));
  EXPECT_FALSE(store.get("new"));
  EXPECT_TRUE(store.get("there"));
  EXPECT_EQ(store.database().head(), head);
}

TEST(Write, ChecksSeeTheStateBeforeTheMutations) {
  TestStore store;
  const WriteOutcome outcome =
      store.write({{{"k", ""}}, {set_mutation("k", "1"), set_mutation("k", "2")}, {}});
  EXPECT_TRUE(outcome.commit.committed);
  EXPECT_TRUE(outcome.failed_checks.empty());
}

TEST(Write, AnExpiredEntryIsAbsentForChecks) {
  TestStore store;
  std::string stored;
  append_stored_value(stored, {Encoding::kBytes, 2'000'000'000'000, "v"});
  store.clock().set_ms(1'999'999'999'999);
  store.put_stored("k", stored);
  const std::string stamp = wire(store.get("k")->versionstamp);
  EXPECT_FALSE(store.write({{{"k", ""}}, {}, {}}).commit.committed);
  EXPECT_TRUE(store.write({{{"k", stamp}}, {}, {}}).commit.committed);
  store.clock().set_ms(2'000'000'000'000);
  EXPECT_FALSE(store.write({{{"k", stamp}}, {}, {}}).commit.committed);
  EXPECT_TRUE(store.write({{{"k", ""}}, {}, {}}).commit.committed);
}

TEST(Write, ADamagedEntryFailsTheWriteThatChecksIt) {
  TestStore store;
  store.put_stored("k", "\x07");
  struct Request final : WriteRequest {
    using WriteRequest::WriteRequest;
    void answer(const CommitOutcome&) override {}
  } request(*store.store().plan({{{"k", ""}}, {set_mutation("other", "v")}, {}}));
  const CommitOutcome outcome = store.database().commit(request);
  ASSERT_FALSE(outcome.status.has_value());
  EXPECT_EQ(outcome.status.error().code, ErrorCode::kCorruption);
  EXPECT_FALSE(store.get("other"));
}

}  // namespace
}  // namespace tidemark::kv
