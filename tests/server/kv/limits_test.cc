// Each limit at its value, one below and one above, with the text that clients match on.
#include <gtest/gtest.h>

#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;

// The refusal, or "" if the write is legal.
std::string refusal(const AtomicWrite& write, const Limits& limits = {}) {
  const Result<WritePlan> plan = WritePlan::prepare(write, limits);
  if (plan) return "";
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  return plan.error().message;
}

AtomicWrite of(std::vector<Mutation> mutations) {
  return {{}, std::move(mutations), 0};
}
AtomicWrite of_checks(std::vector<Check> checks) {
  return {std::move(checks), {}, 0};
}

TEST(WriteLimits, Key) {
  const std::string key(2049, 'k');
  for (const size_t size : {0, 1, 2047, 2048}) {
    EXPECT_EQ(refusal(of({set_mutation(key.substr(0, size), "v")})), "");
    EXPECT_EQ(refusal(of({delete_mutation(key.substr(0, size))})), "");
  }
  EXPECT_EQ(refusal(of({set_mutation(key, "v")})), "A key exceeds the key size limit.");
  EXPECT_EQ(refusal(of({delete_mutation(key)})), "A key exceeds the key size limit.");
}

TEST(WriteLimits, CheckKey) {
  const std::string key(2050, 'k');
  EXPECT_EQ(refusal(of_checks({{std::string_view(key).substr(0, 2048), ""}})), "");
  EXPECT_EQ(refusal(of_checks({{std::string_view(key).substr(0, 2049), ""}})), "");
  EXPECT_EQ(refusal(of_checks({{key, ""}})), "A key exceeds the key size limit.");
}

TEST(WriteLimits, Value) {
  const std::string value(65537, 'v');
  for (const size_t size : {0, 1, 65535, 65536}) {
    EXPECT_EQ(refusal(of({set_mutation("k", std::string_view(value).substr(0, size))})), "");
  }
  EXPECT_EQ(refusal(of({set_mutation("k", value)})), "A value exceeds the value size limit.");
}

TEST(WriteLimits, ValueIsASetting) {
  Limits limits;
  limits.max_value_bytes = 5;
  EXPECT_EQ(refusal(of({set_mutation("k", "12345")}), limits), "");
  EXPECT_EQ(refusal(of({set_mutation("k", "123456")}), limits), "A value exceeds the value size limit.");
}

TEST(WriteLimits, Checks) {
  std::vector<Check> checks(99, {"k", ""});
  EXPECT_EQ(refusal(of_checks(checks)), "");
  checks.push_back({"k", ""});
  EXPECT_EQ(refusal(of_checks(checks)), "");
  checks.push_back({"k", ""});
  EXPECT_EQ(refusal(of_checks(checks)), "Too many checks included in atomic write.");
}

TEST(WriteLimits, Mutations) {
  std::vector<Mutation> mutations(999, set_mutation("k", ""));
  EXPECT_EQ(refusal(of(mutations)), "");
  mutations.push_back(delete_mutation("k"));
  EXPECT_EQ(refusal(of(mutations)), "");
  AtomicWrite with_enqueue = of(mutations);
  with_enqueue.enqueues = 1;
  EXPECT_EQ(refusal(with_enqueue), "Too many mutations / enqueues included in atomic write.");
  mutations.push_back(delete_mutation("k"));
  EXPECT_EQ(refusal(of(mutations)), "Too many mutations / enqueues included in atomic write.");
}

TEST(WriteLimits, TotalSize) {
  // 12 values of 64 KiB are 786,432 bytes; with a check's key and the keys the rest is 819,200 - 786,432 =
  // 32,768.
  const std::string large(65536, 'v');
  const std::string check_key(1000, 'c');
  std::vector<Mutation> mutations(12, set_mutation("k", large));
  const size_t rest = 819200 - 12 * (65536 + 1) - check_key.size() - 1;
  const std::string last(rest + 1, 'l');
  const auto with_last = [&](size_t size) {
    AtomicWrite write{{{check_key, ""}}, mutations, 0};
    write.mutations.push_back(set_mutation("k", std::string_view(last).substr(0, size)));
    return refusal(write);
  };
  EXPECT_EQ(with_last(rest - 1), "");
  EXPECT_EQ(with_last(rest), "");
  EXPECT_EQ(with_last(rest + 1), "The total size of the atomic write is too large.");
}

TEST(WriteLimits, ADeletesValueDoesNotCount) {
  const std::string large(70000, 'v');
  Mutation mutation = set_mutation("k", large);
  mutation.type = MutationType::kDelete;
  EXPECT_EQ(refusal(of(std::vector<Mutation>(100, mutation))), "");
}

TEST(WriteRules, VersionstampOfACheck) {
  for (size_t size = 0; size <= 21; ++size) {
    const std::string stamp(size, '\1');
    EXPECT_EQ(refusal(of_checks({{"k", stamp}})), size == 0 || size == 10 ? "" : "Invalid versionstamp.");
  }
}

TEST(WriteRules, MutationKinds) {
  const std::string bad = "Invalid mutation kind or arguments.";
  for (const int32_t type : {0, 6, 7, 8, 10, -1, INT32_MAX, INT32_MIN}) {
    Mutation mutation = set_mutation("k", "v");
    mutation.type = static_cast<MutationType>(type);
    EXPECT_EQ(refusal(of({mutation})), bad) << type;
  }
  for (const int32_t type : {1, 3, 4, 5, 9}) {
    Mutation mutation{static_cast<MutationType>(type), "k", std::nullopt, 0};
    EXPECT_EQ(refusal(of({mutation})), bad) << type;
  }
}

TEST(WriteRules, Encodings) {
  for (const int32_t encoding : {0, 4, -1, INT32_MAX}) {
    Mutation mutation = set_mutation("k", "12345678");
    mutation.value->encoding = encoding;
    EXPECT_EQ(refusal(of({mutation})), "Invalid mutation kind or arguments.") << encoding;
  }
  for (size_t size = 0; size <= 9; ++size) {
    const std::string data(size, '\1');
    EXPECT_EQ(refusal(of({set_mutation("k", data, Encoding::kLe64)})),
              size == 8 ? "" : "A value of encoding LE64 must be exactly 8 bytes long.");
  }
}

TEST(WriteRules, Expiry) {
  for (const int64_t expiry : {int64_t{-2}, INT64_MIN}) {
    Mutation mutation = set_mutation("k", "v");
    mutation.expire_at_ms = expiry;
    EXPECT_EQ(refusal(of({mutation})), "Invalid mutation expire at.");
  }
  Mutation never = set_mutation("k", "v");
  never.expire_at_ms = -1;
  EXPECT_EQ(refusal(of({never})), "");
}

TEST(WriteRules, WhatIsNotSupportedYetIsRefused) {
  for (const int32_t type : {3, 4, 5, 9}) {
    Mutation mutation = set_mutation("k", "12345678", Encoding::kLe64);
    mutation.type = static_cast<MutationType>(type);
    EXPECT_TRUE(refusal(of({mutation})).ends_with("is not supported yet by this version of Tidemark."))
        << type;
  }
  for (const int64_t expiry : {int64_t{1}, INT64_MAX}) {
    Mutation expiring = set_mutation("k", "v");
    expiring.expire_at_ms = expiry;
    EXPECT_TRUE(refusal(of({expiring})).ends_with("are not supported yet by this version of Tidemark."));
  }
  AtomicWrite enqueue;
  enqueue.enqueues = 1;
  EXPECT_TRUE(refusal(enqueue).ends_with("is not supported yet by this version of Tidemark."));
}

class ReadLimits : public ::testing::Test {
 protected:
  std::string refusal(const std::vector<ReadRange>& ranges) {
    const Status legal = store_.store().check_ranges(ranges);
    if (legal) return "";
    EXPECT_EQ(legal.error().code, ErrorCode::kInvalidArgument);
    return legal.error().message;
  }

  test::TestStore store_;
};

TEST_F(ReadLimits, Ranges) {
  std::vector<ReadRange> ranges(9, {"a", "b", 1, false});
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal(ranges), "");
  ranges.push_back(ranges[0]);
  EXPECT_EQ(refusal(ranges), "");
  ranges.push_back(ranges[0]);
  EXPECT_EQ(refusal(ranges), "Too many read ranges requested in one read request.");
}

TEST_F(ReadLimits, Entries) {
  EXPECT_EQ(refusal({{"a", "b", 999, false}}), "");
  EXPECT_EQ(refusal({{"a", "b", 1000, false}}), "");
  EXPECT_EQ(refusal({{"a", "b", 999, false}, {"a", "b", 1, true}}), "");
  const std::string text =
      "The total number of entries requested across read ranges in the read request is too large.";
  EXPECT_EQ(refusal({{"a", "b", 1001, false}}), text);
  EXPECT_EQ(refusal({{"a", "b", 1000, false}, {"a", "b", 1, true}}), text);
  EXPECT_EQ(refusal(std::vector<ReadRange>(10, {"a", "b", INT32_MAX, false})), text);
}

TEST_F(ReadLimits, RangeLimit) {
  const std::string text = "The read range limit of the snapshot read request is invalid.";
  EXPECT_EQ(refusal({{"a", "b", 1, false}}), "");
  for (const int32_t limit : {0, -1, INT32_MIN}) EXPECT_EQ(refusal({{"a", "b", limit, false}}), text);
}

TEST_F(ReadLimits, Keys) {
  const std::string key(2050, 'k');
  const std::string_view longest = std::string_view(key).substr(0, 2049);
  EXPECT_EQ(refusal({{longest.substr(1), longest.substr(1), 1, false}}), "");
  EXPECT_EQ(refusal({{longest, longest, 1, false}}), "");
  EXPECT_EQ(refusal({{key, "z", 1, false}}), "A key exceeds the key size limit.");
  EXPECT_EQ(refusal({{"a", key, 1, false}}), "A key exceeds the key size limit.");
}

}  // namespace
}  // namespace tidemark::kv
