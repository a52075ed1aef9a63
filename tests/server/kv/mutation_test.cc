// Mutations beyond set and delete, and enqueues, on a real engine.
#include <gtest/gtest.h>

#include "engine/base/coding.h"
#include "server/kv/keyspace.h"
#include "server/kv/queue_message.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;
using test::TestStore;
using test::WriteOutcome;

std::string le64(uint64_t value) {
  std::string out;
  put_le64(out, value);
  return out;
}

Mutation arithmetic(MutationType type, std::string_view key, std::string_view data,
                    Encoding encoding = Encoding::kLe64) {
  Mutation mutation = set_mutation(key, data, encoding);
  mutation.type = type;
  return mutation;
}

TEST(Arithmetic, SumMinAndMaxSeeWhatIsStoredAndEachOther) {
  TestStore store;
  const std::string five = le64(5), seven = le64(7), three = le64(3);
  store.write({{},
               {arithmetic(MutationType::kSum, "sum", five), arithmetic(MutationType::kSum, "sum", seven),
                arithmetic(MutationType::kMin, "min", five), arithmetic(MutationType::kMin, "min", three),
                arithmetic(MutationType::kMax, "max", five), arithmetic(MutationType::kMax, "max", seven)},
               {}});
  EXPECT_EQ(store.get("sum")->data, le64(12));
  EXPECT_EQ(store.get("min")->data, le64(3));
  EXPECT_EQ(store.get("max")->data, le64(7));
  store.write({{}, {arithmetic(MutationType::kSum, "sum", le64(UINT64_MAX))}, {}});
  EXPECT_EQ(store.get("sum")->data, le64(11));
  EXPECT_EQ(store.get("sum")->encoding, Encoding::kLe64);
}

TEST(Arithmetic, ADeleteBeforeItInTheSameWriteCounts) {
  TestStore store;
  const std::string five = le64(5);
  store.write({{}, {set_mutation("k", five, Encoding::kLe64)}, {}});
  store.write({{}, {delete_mutation("k"), arithmetic(MutationType::kSum, "k", five)}, {}});
  EXPECT_EQ(store.get("k")->data, five);
}

TEST(Arithmetic, ARefusalInTheMiddleWritesNothing) {
  TestStore store;
  const std::string five = le64(5);
  store.set("bytes", "xxxxxxxx");
  const WriteOutcome outcome =
      store.try_write({{},
                       {set_mutation("before", "x"), arithmetic(MutationType::kSum, "bytes", five),
                        set_mutation("after", "x")},
                       {}});
  ASSERT_FALSE(outcome.commit.status.has_value());
  EXPECT_EQ(outcome.commit.status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(outcome.commit.status.error().message,
            "Failed to perform 'sum' mutation on a non-U64 value in the database");
  EXPECT_FALSE(store.get("before"));
  EXPECT_FALSE(store.get("after"));
  EXPECT_EQ(store.get("bytes")->data, "xxxxxxxx");
}

TEST(Arithmetic, BoundsReachTheSum) {
  TestStore store;
  const std::string two("\xff\x0fN\0\0\0\0\0\0\0@", 11);
  const std::string three("\xff\x0fN\0\0\0\0\0\0\x08@", 11);
  store.write({{}, {set_mutation("k", two, Encoding::kV8)}, {}});
  Mutation mutation = arithmetic(MutationType::kSum, "k", two, Encoding::kV8);
  mutation.sum_max = three;
  EXPECT_EQ(store.try_write({{}, {mutation}, {}}).commit.status.error().message,
            "The result of a Sum operation would exceed its range limit");
  mutation.sum_clamp = true;
  store.write({{}, {mutation}, {}});
  EXPECT_EQ(store.get("k")->data, three);
}

TEST(Arithmetic, AnExpiredValueIsAbsentAndAResultDoesNotExpire) {
  TestStore store;
  const std::string five = le64(5);
  for (const MutationType type : {MutationType::kSum, MutationType::kMin, MutationType::kMax}) {
    Mutation expiring = set_mutation("k", le64(100), Encoding::kLe64);
    const std::string hundred = le64(100);
    expiring.value->data = hundred;
    const int64_t now = store.clock().wall_us() / 1000;
    expiring.expire_at_ms = now + 1000;
    store.write({{}, {expiring}, {}});
    store.clock().set_ms(now + 1000);
    store.write({{}, {arithmetic(type, "k", five)}, {}});
    EXPECT_EQ(store.get("k")->data, five);
    // A result takes the expiry away, too.
    expiring.expire_at_ms = now + 3000;
    store.write({{}, {expiring, arithmetic(MutationType::kSum, "k", five)}, {}});
    store.clock().set_ms(now + 10'000);
    EXPECT_EQ(store.get("k")->data, le64(105));
  }
}

TEST(SuffixedSet, WritesTheKeyWithItsVersionstampAsAStringPart) {
  TestStore store;
  Mutation mutation = set_mutation("prefix", "v");
  mutation.type = MutationType::kSetSuffixVersionstampedKey;
  Mutation other = mutation;
  other.key = "other";
  const WriteOutcome outcome = store.write({{}, {mutation, other}, {}});
  const std::string suffix = std::string("\x02") + outcome.commit.versionstamp.hex() + std::string(1, '\0');
  const auto entry = store.get("prefix" + suffix);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->data, "v");
  EXPECT_EQ(entry->versionstamp, outcome.commit.versionstamp);
  EXPECT_TRUE(store.get("other" + suffix));
  EXPECT_FALSE(store.get("prefix"));
}

TEST(SuffixedSet, MayExpire) {
  TestStore store;
  const int64_t now = store.clock().wall_us() / 1000;
  Mutation mutation = set_mutation("p", "v");
  mutation.type = MutationType::kSetSuffixVersionstampedKey;
  mutation.expire_at_ms = now + 5;
  store.write({{}, {mutation}, {}});
  EXPECT_EQ(store.read({"p", "q", 10}).size(), 1u);
  store.clock().set_ms(now + 5);
  EXPECT_EQ(store.read({"p", "q", 10}).size(), 0u);
  EXPECT_TRUE(test::polled_until([&] { store.store().expiry().poll(nullptr); },
                                 [&] { return store.store().expiry().deleted() > 0; }));
  EXPECT_EQ(store.count_engine_keys(kUserPrefix), 0u);
}

TEST(Enqueue, IsStoredAsDocumented) {
  TestStore store;
  const int64_t now = store.clock().wall_us() / 1000;
  AtomicWrite write;
  write.mutations = {set_mutation("k", "v")};
  write.enqueues = {{"first", now + 5000, {"dead", "letter"}, {100, 200'000}}, {"second", 0, {}, {}}};
  const WriteOutcome outcome = store.write(write);
  const auto view = store.database().read();
  const auto later = view->get(queue_key(now + 5000, outcome.commit.versionstamp, 0));
  ASSERT_TRUE(later.has_value() && later->has_value());
  EXPECT_EQ((*later)->bytes(), std::string("\x01\x02\x64\xc0\x9a\x0c\x02\x04"
                                           "dead\x06letterfirst"));
  // One without a deadline, or with one in the past, is due at its commit.
  const auto due = view->get(queue_key(outcome.commit.timestamp_ms, outcome.commit.versionstamp, 1));
  ASSERT_TRUE(due.has_value() && due->has_value());
  EXPECT_EQ((*due)->bytes(), std::string("\x01\0\0second", 9));
  EXPECT_EQ(store.count_engine_keys(kQueuePrefix), 2u);
}

TEST(Enqueue, IsPartOfItsTransaction) {
  TestStore store;
  AtomicWrite write;
  write.checks = {{"k", "0123456789"}};
  write.enqueues = {{"payload", 0, {}, {}}};
  EXPECT_FALSE(store.write(write).commit.committed);
  EXPECT_EQ(store.count_engine_keys(kQueuePrefix), 0u);
  write.checks.clear();
  EXPECT_TRUE(store.write(write).commit.committed);
  EXPECT_EQ(store.count_engine_keys(kQueuePrefix), 1u);
}

}  // namespace
}  // namespace tidemark::kv
