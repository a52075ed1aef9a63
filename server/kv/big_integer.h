// Whole numbers of any size, between the bytes in which keys and values hold them and text for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/kv/v8_number.h"

namespace tidemark::kv {

struct BigInteger {
  bool negative = false;  // never with a magnitude of 0
  std::string magnitude;  // little-endian; the last byte is not zero; empty: 0

  bool operator==(const BigInteger&) const = default;
  BigIntView view() const { return {negative, magnitude}; }
};

// Between decimal and binary takes time that grows with the square of the size: above this many bytes numbers
// are written, and only read, in hex.
inline constexpr size_t kMaxDecimalBytes = 1024;

// "-123", or "0x1f" and "-0x1f" when larger than kMaxDecimalBytes. Zeros at the top are dropped.
std::string to_text(BigIntView number);
// What to_text() gives, and hex of any size. Nothing for everything else: other letters, signs, zeros at the
// front, "-0", decimals that are too long.
std::optional<BigInteger> big_integer_from_text(std::string_view text);

}  // namespace tidemark::kv
