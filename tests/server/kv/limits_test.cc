// Each limit at its value, one below and one above, with the text that clients match on.
#include <gtest/gtest.h>

#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;

// The refusal, or "" if the write is legal.
constexpr int64_t kNowMs = 1'700'000'000'000;

std::string refusal(const AtomicWrite& write, const Limits& limits = {}) {
  const Result<WritePlan> plan = WritePlan::prepare(write, limits, kNowMs);
  if (plan) return "";
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  return plan.error().message;
}

AtomicWrite of(std::vector<Mutation> mutations) {
  return {{}, std::move(mutations), {}};
}
AtomicWrite of_checks(std::vector<Check> checks) {
  return {std::move(checks), {}, {}};
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
  with_enqueue.enqueues.resize(1);
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
    AtomicWrite write{{{check_key, ""}}, mutations, {}};
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

TEST(WriteRules, AnExpiryOfADeleteIsChecked) {
  Mutation mutation = delete_mutation("k");
  mutation.expire_at_ms = 5;
  EXPECT_EQ(refusal(of({mutation})), "");
  mutation.expire_at_ms = -2;
  EXPECT_EQ(refusal(of({mutation})), "Invalid mutation expire at.");
}

TEST(WriteRules, OperandsOfSumMinAndMax) {
  const auto refusal_of = [](MutationType type, std::string_view data, Encoding encoding) {
    Mutation mutation = set_mutation("k", data, encoding);
    mutation.type = type;
    return refusal(of({mutation}));
  };
  EXPECT_EQ(refusal_of(MutationType::kMin, "12345678", Encoding::kLe64), "");
  EXPECT_EQ(refusal_of(MutationType::kMin, "12345678", Encoding::kBytes),
            "Failed to perform 'min' mutation on a non-U64 operand");
  EXPECT_EQ(refusal_of(MutationType::kMax, "12345678", Encoding::kV8),
            "Failed to perform 'max' mutation on a non-U64 operand");
  EXPECT_EQ(refusal_of(MutationType::kSum, "12345678", Encoding::kBytes),
            "Some of the parameters are not valid V8 values");
  EXPECT_EQ(refusal_of(MutationType::kSum, "1234567", Encoding::kLe64),
            "A value of encoding LE64 must be exactly 8 bytes long.");
}

TEST(WriteLimits, BoundsOfASum) {
  const std::string large(65537, 'v');
  Mutation mutation = set_mutation("k", "12345678", Encoding::kLe64);
  mutation.type = MutationType::kSum;
  mutation.sum_min = large;
  EXPECT_EQ(refusal(of({mutation})), "A value exceeds the value size limit.");
}

std::string refusal_of_enqueue(const Enqueue& enqueue) {
  AtomicWrite write;
  write.enqueues = {enqueue};
  return refusal(write);
}

TEST(WriteLimits, EnqueuePayload) {
  const std::string payload(65537, 'p');
  EXPECT_EQ(refusal_of_enqueue({.payload = std::string_view(payload).substr(1)}), "");
  EXPECT_EQ(refusal_of_enqueue({.payload = payload}), "A value exceeds the value size limit.");
}

TEST(WriteLimits, EnqueueUndeliveredKeys) {
  const std::string key(2049, 'k');
  Enqueue enqueue;
  enqueue.keys_if_undelivered.assign(10, std::string_view(key).substr(1));
  EXPECT_EQ(refusal_of_enqueue(enqueue), "");
  enqueue.keys_if_undelivered[3] = key;
  EXPECT_EQ(refusal_of_enqueue(enqueue), "A key exceeds the key size limit.");
  enqueue.keys_if_undelivered.assign(11, "k");
  EXPECT_EQ(refusal_of_enqueue(enqueue), "Too many dead letter keys for a single queue message.");
}

TEST(WriteLimits, EnqueueSchedule) {
  Enqueue enqueue;
  enqueue.backoff_schedule_ms.assign(10, 3'600'000);
  EXPECT_EQ(refusal_of_enqueue(enqueue), "");
  enqueue.backoff_schedule_ms[9] = 3'600'001;
  EXPECT_EQ(refusal_of_enqueue(enqueue), "A backoff interval exceeds the maximum allowed backoff interval.");
  enqueue.backoff_schedule_ms.assign(11, 0);
  EXPECT_EQ(refusal_of_enqueue(enqueue), "Too many backoff intervals for a single queue message.");
}

TEST(WriteLimits, EnqueueDeadline) {
  constexpr int64_t kMonth = int64_t{30} * 24 * 3'600'000;
  for (const int64_t deadline : {INT64_MIN, int64_t{-1}, int64_t{0}, kNowMs - 1, kNowMs, kNowMs + kMonth}) {
    EXPECT_EQ(refusal_of_enqueue({.deadline_ms = deadline}), "") << deadline;
  }
  for (const int64_t deadline : {kNowMs + kMonth + 1, INT64_MAX}) {
    EXPECT_EQ(refusal_of_enqueue({.deadline_ms = deadline}), "Invalid mutation enqueue deadline.")
        << deadline;
  }
}

TEST(WriteLimits, EnqueuesCountForTheTotal) {
  const std::string payload(65536, 'p');
  AtomicWrite write;
  write.enqueues.assign(12, Enqueue{.payload = payload});
  const size_t rest = 819200 - 12 * 65536;
  const std::string key(2000, 'k');
  Enqueue last{.keys_if_undelivered = {key, key}, .backoff_schedule_ms = {1, 2}};
  const std::string last_payload(rest, 'l');
  last.payload = std::string_view(last_payload).substr(0, rest - 2 * key.size() - 8);
  write.enqueues.push_back(last);
  EXPECT_EQ(refusal(write), "");
  write.enqueues.back().backoff_schedule_ms.push_back(3);
  EXPECT_EQ(refusal(write), "The total size of the atomic write is too large.");
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
