// Decimal: in steps of nine digits, on 32-bit pieces.
#include "server/kv/big_integer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include "engine/base/hex.h"

namespace tidemark::kv {
namespace {

constexpr uint32_t kStep = 1'000'000'000;
constexpr size_t kStepDigits = 9;
// No number of kMaxDecimalBytes has more: log10(256) is below 2.409.
constexpr size_t kMaxDecimalDigits = kMaxDecimalBytes * 2409 / 1000 + 1;

std::string_view trimmed(std::string_view magnitude) {
  return magnitude.substr(0, magnitude.find_last_not_of('\0') + 1);
}

std::string hex_of(std::string_view magnitude) {
  std::string out;
  for (size_t i = magnitude.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(magnitude[i]);
    if (!out.empty() || byte >= 16) out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  return out;
}

std::string decimal_of(std::string_view magnitude) {
  std::vector<uint32_t> pieces((magnitude.size() + 3) / 4);
  for (size_t i = 0; i < magnitude.size(); ++i)
    pieces[i / 4] |= uint32_t{static_cast<uint8_t>(magnitude[i])} << (i % 4 * 8);
  std::string out;  // from the last digit
  while (!pieces.empty()) {
    uint64_t rest = 0;
    for (size_t i = pieces.size(); i-- > 0;) {
      rest = rest << 32 | pieces[i];
      pieces[i] = static_cast<uint32_t>(rest / kStep);
      rest %= kStep;
    }
    while (!pieces.empty() && pieces.back() == 0) pieces.pop_back();
    for (size_t i = 0; i < kStepDigits && (rest != 0 || !pieces.empty()); ++i, rest /= 10)
      out.push_back(static_cast<char>('0' + rest % 10));
  }
  std::ranges::reverse(out);
  return out;
}

std::optional<std::string> from_hex(std::string_view digits) {
  std::string out;
  for (size_t end = digits.size(); end > 0;) {
    const size_t begin = end < 2 ? 0 : end - 2;
    unsigned byte = 0;
    const auto [rest, error] = std::from_chars(digits.data() + begin, digits.data() + end, byte, 16);
    if (error != std::errc() || rest != digits.data() + end) return std::nullopt;
    out.push_back(static_cast<char>(byte));
    end = begin;
  }
  return out;
}

std::optional<std::string> from_decimal(std::string_view digits) {
  if (digits.size() > kMaxDecimalDigits) return std::nullopt;
  std::vector<uint32_t> pieces;
  while (!digits.empty()) {
    // What is left over after whole steps comes first.
    const size_t take = digits.size() % kStepDigits == 0 ? kStepDigits : digits.size() % kStepDigits;
    uint64_t carry = 0;
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + take, carry);
    if (error != std::errc() || rest != digits.data() + take) return std::nullopt;
    digits.remove_prefix(take);
    for (uint32_t& piece : pieces) {
      carry += uint64_t{piece} * kStep;
      piece = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) pieces.push_back(static_cast<uint32_t>(carry));
  }
  std::string out;
  for (const uint32_t piece : pieces)
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(piece >> shift));
  return out;
}

}  // namespace

std::string to_text(BigIntView number) {
  const std::string_view magnitude = trimmed(number.magnitude);
  if (magnitude.empty()) return "0";
  std::string out = number.negative ? "-" : "";
  return magnitude.size() > kMaxDecimalBytes ? out + "0x" + hex_of(magnitude) : out + decimal_of(magnitude);
}

std::optional<BigInteger> big_integer_from_text(std::string_view text) {
  BigInteger number;
  number.negative = text.starts_with('-');
  if (number.negative) text.remove_prefix(1);
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  if (text.empty() || (text.front() == '0' && (text.size() > 1 || number.negative))) return std::nullopt;
  std::optional<std::string> magnitude = hex ? from_hex(text) : from_decimal(text);
  if (!magnitude) return std::nullopt;
  magnitude->resize(trimmed(*magnitude).size());
  number.magnitude = std::move(*magnitude);
  return number;
}

}  // namespace tidemark::kv
