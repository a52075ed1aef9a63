// The numbers among the values of encoding V8: the part of V8's ValueSerializer format that a sum needs.
//
//   FF, varint version    13 to 16, as V8 itself accepts
//   any number of         00 (padding), or 3F ('?'), varint: ignored
//   one value             'I' varint, zigzag: int32
//                         'U' varint: uint32
//                         'N' 8 bytes: double, little-endian, not aligned
//                         'Z' varint n, then n / 2 bytes: the magnitude of a BigInt, little-endian, of any
//                             length and with zeros at the top or without; negative if n is odd
//                         or the tag of another kind of value, whose bytes are not looked at
//
// Varints have at most 32 bits. As in V8, a negative BigInt without any byte is refused, one of zero bytes is
// zero, every NaN is one NaN, and a BigInt has at most 2^30 bits. Unlike V8 and denokv, which look no further
// than the value and drop bits above 32, bytes after a number and longer varints are refused; nobody writes
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include "engine/base/coding.h"

namespace tidemark::kv {

// A BigInt whose digits lie elsewhere. Zero is not negative.
struct BigIntView {
  bool negative = false;
  std::string_view magnitude;  // little-endian; the last byte is not zero; empty: 0
};

using V8Number = std::variant<double, BigIntView>;

enum class NotV8Number : uint8_t {
  kInvalid,    // no V8 value, or cut short
  kOtherKind,  // begins like a V8 value of another kind
};

// What is written, unless another one is asked for: every V8 since Deno KV began reads it.
inline constexpr uint32_t kWrittenV8Version = 15;

inline constexpr size_t kMaxBigIntBytes = size_t{1} << 27;  // V8's limit

// Total: any bytes will do. Allocates nothing; the magnitude of a BigInt points into `bytes`.
std::expected<V8Number, NotV8Number> parse_v8_number(std::string_view bytes);

// A number is always written as a double, a BigInt in
// whole 8 bytes, both as V8 would. Zeros at the top of `magnitude` and a negative zero are put right.
// REQUIRES: at most kMaxBigIntBytes + 8 bytes of magnitude.
std::string encode_v8_number(double number);
std::string encode_v8_number(BigIntView number);

// The pieces, for values that hold a number somewhere inside: a varint of at most 32 bits, and what follows
// the tag of a BigInt. A reader that is not ok() afterwards found none.
uint32_t read_v8_varint(ByteReader& reader);
BigIntView read_v8_big_int(ByteReader& reader);
void append_v8_big_int(std::string& out, BigIntView number);

}  // namespace tidemark::kv
