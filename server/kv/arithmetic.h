// Sum, min and max of Deno KV: what a stored value and a mutation's operand make together. Pure.
//
// The request alone decides these, in this order ("V8" is the encoding, numbers and BigInts are V8 values):
//
//   mutation  operand                            answer
//   any       LE64 that is not 8 bytes           text::kBadLe64
//   min, max  V8 or bytes                        "Failed to perform 'min' mutation on a non-U64 operand"
//   sum       LE64                               fine; sum_min, sum_max and sum_clamp are not looked at
//   sum       bytes; V8 that is no number and    text::kBadSumParameters
//             no BigInt; or such a sum_min
//             or sum_max that is not empty
//   sum       V8 with a sum_min or sum_max of    text::kSumParameterTypes
//             the other type
//
// The rest needs the stored value:
//
//   mutation       operand  stored               result
//   any            any      absent               the operand, neither bounded nor clamped, written anew
//   sum, min, max  LE64     LE64                 LE64; a sum wraps at 2^64
//   sum, min, max  LE64     V8, bytes            "Failed to perform 'sum' mutation on a non-U64 value in the
//                                                database"
//   sum            V8       bytes; V8 of another text::kSumStoredOtherKind
//                           kind
//   sum            V8       no V8 value          text::kSumStoredInvalid
//   sum            number   number               double, bounded
//   sum            BigInt   BigInt               BigInt, bounded
//   sum            BigInt   LE64                 without bounds, not clamped, 0 <= BigInt < 2^64: LE64 that
//                                                wraps; otherwise "Cannot sum KvU64 with BigInt"
//   sum            number   LE64                 "Cannot sum KvU64 with Number"
//   sum            number   BigInt               "Cannot sum BigInt with Number"
//   sum            BigInt   number               "Cannot sum Number with BigInt"
//
// Bounded: a sum below sum_min becomes sum_min if sum_clamp, then one above sum_max becomes sum_max (so
// sum_max wins where the two are crossed); without sum_clamp either is text::kSumOutOfRange. sum_clamp
// without bounds changes nothing, but for a stored LE64 (above). A NaN is below and above nothing: a sum that
// is NaN is stored, and a bound that is NaN never holds anything back. 0 and -0 are equal. Infinities are
// numbers.
//
// Limits are the caller's. A sum of BigInts may be 8 bytes longer than the longest value; no number of sums
// gets it further, but a clamped one is as long as its bound.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "server/kv/request.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {

namespace text {

// denokv's words. For the last two it says no more than "unsupported value type" and "invalid v8 value".
inline constexpr char kBadSumParameters[] = "Some of the parameters are not valid V8 values";
inline constexpr char kSumParameterTypes[] = "Min/max parameters have different types than the operand";
inline constexpr char kSumOutOfRange[] = "The result of a Sum operation would exceed its range limit";
inline constexpr char kSumStoredOtherKind[] =
    "Failed to perform 'sum' mutation on an unsupported value type in the database";
inline constexpr char kSumStoredInvalid[] =
    "Failed to perform 'sum' mutation on an invalid v8 value in the database";

}  // namespace text

// A mutation of type kSum, kMin or kMax. The views point into bytes that the caller keeps alive.
struct ArithmeticMutation {
  MutationType type = MutationType::kSum;
  Encoding encoding = Encoding::kLe64;  // of the operand
  std::string_view operand;
  std::string_view sum_min;  // V8; empty: no bound
  std::string_view sum_max;
  bool sum_clamp = false;
};

// Always without expiry.
struct ArithmeticResult {
  Encoding encoding = Encoding::kLe64;
  std::string data;
};

// What can be refused without the stored value: kInvalidArgument with the client's text.
// REQUIRES: type is kSum, kMin or kMax.
Status check_arithmetic(const ArithmeticMutation& mutation);

// The new value, or kInvalidArgument with the client's text. Refuses all that check_arithmetic refuses, too.
// `stored` is as parse_stored_value gave it and not expired, or nothing if the key is absent.
// REQUIRES: type is kSum, kMin or kMax.
Result<ArithmeticResult> apply_arithmetic(const ArithmeticMutation& mutation,
                                          const std::optional<StoredValue>& stored);

}  // namespace tidemark::kv
