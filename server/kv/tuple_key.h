// The encoding of Deno KV's keys: a subset of FoundationDB's tuple layer, so that the order of the bytes is
// the order of the keys. The server takes keys as they are; this is for people and tools.
//
//   Uint8Array  01, the bytes with 00 written as 00 FF, 00
//   string      02, UTF-8 with 00 written as 00 FF, 00
//   bigint      14: zero
//               14 + n (n = 1 to 8): n bytes, big-endian        14 - n: negative, one's complement
//               1D, n: longer ones, n bytes                     0B, n xor FF: negative, one's complement
//   number      21, the double big-endian, all bits flipped if it is negative, the sign bit if not
//   boolean     26: false, 27: true
//
// Each key has one encoding, and only that is decoded: bigints have no zeros in front, and of the NaNs there
// are two (7FF8... and FFF8..., which Deno keeps apart).
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/status.h"
#include "server/kv/big_integer.h"

namespace tidemark::kv {

// A Uint8Array.
struct KeyBytes {
  std::string bytes;
  bool operator==(const KeyBytes&) const = default;
};

// Strings are UTF-8.
using KeyPart = std::variant<KeyBytes, std::string, BigInteger, double, bool>;
using KeyParts = std::vector<KeyPart>;

inline constexpr size_t kMaxKeyBigIntBytes = 255;

// Nothing if `key` is not what encode_key() gives of any parts. Total.
std::optional<KeyParts> decode_key(std::string_view key);
// kInvalidArgument, with a sentence, for a string that is no UTF-8 and for a bigint that is too long. Every
// NaN becomes one of the two, by its sign.
Result<std::string> encode_key(const KeyParts& parts);

// The form for people and dumps, of any bytes: an array with an element for each part,
//
//   "text", true, 1, 0.5, -0.0         strings, booleans, finite numbers
//   {"$number":"NaN"}                  also "-NaN", "Infinity", "-Infinity"
//   {"$bigint":"123"}
//   {"$bytes":"base64"}                a Uint8Array
//
// or, for a key that does not decode, {"$raw":"base64"}.
boost::json::value key_form(std::string_view key);
// The very bytes that key_form() was given, or those of the same form written by hand (1.0 is 1, a bigint may
// be in hex). kInvalidArgument, with a sentence, for everything else.
Result<std::string> key_from_form(const boost::json::value& form);

}  // namespace tidemark::kv
