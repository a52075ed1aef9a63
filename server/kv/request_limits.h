// What one request may ask for, and the sentences that a client gets beyond it. The numbers and texts are
// those of Deno KV (denokv's proto/limits.rs), so that programs which match on them keep working; the one
// exception is the number of checks, where denokv's server allows fewer than Deno's own client.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/mutant.h"

namespace tidemark::kv {

struct Limits {
  size_t max_write_key_bytes = 2048 + TM_OFF_BY_ONE("limit.write-key");
  size_t max_read_key_bytes = 2049;  // of a range's ends and of a check's key
  size_t max_value_bytes = 65536;
  size_t max_read_ranges = 10 + TM_OFF_BY_ONE("limit.ranges");
  // Sum of the limits of all ranges.
  int64_t max_read_entries = 1000 + TM_OFF_BY_ONE("limit.entries");
  // Keys and values found by one read. More than all the entries above can hold, unless values may be larger
  // than usual; at least one of the largest values.
  size_t max_read_bytes = size_t{128} << 20;
  size_t max_checks = 100;
  // Mutations and enqueues together; at most 65,535.
  size_t max_mutations = 1000 + TM_OFF_BY_ONE("limit.mutations");
  // Keys and data of the mutations, keys of the checks, payloads and keys of the enqueues, and 4 for each
  // back-off interval.
  size_t max_transaction_bytes = 819200;
  size_t max_watched_keys = 10 + TM_OFF_BY_ONE("limit.watched-keys");
  size_t max_undelivered_keys = 10 + TM_OFF_BY_ONE("limit.undelivered-keys");
  size_t max_backoff_intervals = 10 + TM_OFF_BY_ONE("limit.backoff-intervals");
  uint32_t max_backoff_interval_ms = 3'600'000 + TM_OFF_BY_ONE("limit.backoff-interval");
  int64_t max_enqueue_delay_ms = int64_t{30} * 24 * 3'600'000;
};

namespace text {

inline constexpr char kKeyTooLarge[] = "A key exceeds the key size limit.";
inline constexpr char kValueTooLarge[] = "A value exceeds the value size limit.";
inline constexpr char kTooManyRanges[] = "Too many read ranges requested in one read request.";
inline constexpr char kTooManyEntries[] =
    "The total number of entries requested across read ranges in the read request is too large.";
inline constexpr char kBadRangeLimit[] = "The read range limit of the snapshot read request is invalid.";
inline constexpr char kTooManyChecks[] = "Too many checks included in atomic write.";
inline constexpr char kTooManyMutations[] = "Too many mutations / enqueues included in atomic write.";
inline constexpr char kTransactionTooLarge[] = "The total size of the atomic write is too large.";
// denokv has no text for this one: its values cannot be that large.
inline constexpr char kReadTooLarge[] =
    "The entries of the read request are too large together; ask for fewer at a time.";
inline constexpr char kBadVersionstamp[] = "Invalid versionstamp.";
inline constexpr char kBadMutation[] = "Invalid mutation kind or arguments.";
inline constexpr char kTooManyWatchedKeys[] = "Too many keys watched in a single watch request.";
inline constexpr char kTooManyUndeliveredKeys[] = "Too many dead letter keys for a single queue message.";
inline constexpr char kTooManyBackoffIntervals[] = "Too many backoff intervals for a single queue message.";
inline constexpr char kBackoffTooLong[] = "A backoff interval exceeds the maximum allowed backoff interval.";
inline constexpr char kBadDeadline[] = "Invalid mutation enqueue deadline.";
inline constexpr char kBadExpiry[] = "Invalid mutation expire at.";
// denokv has no text for this one: it panics.
inline constexpr char kBadLe64[] = "A value of encoding LE64 must be exactly 8 bytes long.";

}  // namespace text
}  // namespace tidemark::kv
