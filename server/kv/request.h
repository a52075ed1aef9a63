// Requests as Deno KV knows them, before anything was checked: any field may hold any value. All views point
// into bytes that the caller keeps alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tidemark::kv {

// Keys from `start` (inclusive) to `end` (exclusive), at most `limit`. An empty or inverted range has none.
struct ReadRange {
  std::string_view start;
  std::string_view end;
  int32_t limit = 0;
  bool reverse = false;  // the last entries first
};

struct Check {
  std::string_view key;
  std::string_view versionstamp;  // 10 bytes; empty: the key must be absent
};

// The wire's numbers.
enum class MutationType : int32_t {
  kSet = 1,
  kDelete = 2,
  kSum = 3,
  kMax = 4,
  kMin = 5,
  kSetSuffixVersionstampedKey = 9,
};

struct Mutation {
  struct Value {
    std::string_view data;
    int32_t encoding = 0;  // Encoding, unchecked
  };

  MutationType type{};
  std::string_view key;
  std::optional<Value> value;
  int64_t expire_at_ms = 0;  // 0 or -1: never
  // For sums of V8 numbers; empty: no bound.
  std::string_view sum_min = {};
  std::string_view sum_max = {};
  bool sum_clamp = false;  // to the bounds, rather than fail beyond them
};

struct Enqueue {
  std::string_view payload = {};  // V8
  int64_t deadline_ms = 0;        // deliver from then on, milliseconds since 1970; past: at once
  std::vector<std::string_view> keys_if_undelivered = {};
  std::vector<uint32_t> backoff_schedule_ms = {};
};

struct AtomicWrite {
  std::vector<Check> checks;
  std::vector<Mutation> mutations;
  std::vector<Enqueue> enqueues;
};

}  // namespace tidemark::kv
