#include "engine/base/base64.h"

#include <array>
#include <cstdint>

namespace tidemark {
namespace {

constexpr size_t kCommonDigits = 62;
constexpr char kCommon[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr uint8_t kNoDigit = 0xff;

struct Alphabet {
  std::array<char, 64> digits{};
  std::array<uint8_t, 256> values{};

  constexpr explicit Alphabet(std::string_view last_two) {
    values.fill(kNoDigit);
    for (size_t i = 0; i < digits.size(); ++i) {
      digits[i] = i < kCommonDigits ? kCommon[i] : last_two[i - kCommonDigits];
      values[static_cast<uint8_t>(digits[i])] = static_cast<uint8_t>(i);
    }
  }
};

constexpr Alphabet kOrdinary("+/");
constexpr Alphabet kUrl("-_");

std::string encode(const Alphabet& alphabet, std::string_view bytes) {
  std::string out;
  out.reserve(base64url_chars(bytes.size()) + 2);
  uint32_t pending = 0;
  int bits = 0;
  for (const char c : bytes) {
    pending = pending << 8 | static_cast<uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(alphabet.digits[pending >> (bits - 6) & 63]);
  }
  if (bits > 0) out.push_back(alphabet.digits[pending << (6 - bits) & 63]);
  return out;
}

std::optional<std::string> decode(const Alphabet& alphabet, std::string_view chars) {
  std::string out;
  out.reserve(chars.size() * 3 / 4);
  uint32_t pending = 0;
  int bits = 0;
  for (const char c : chars) {
    const uint8_t digit = alphabet.values[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) return std::nullopt;
    pending = pending << 6 | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(pending >> bits));
    }
  }
  // A digit more than there must be, or bits that say nothing.
  if (bits >= 6 || (pending & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out = encode(kOrdinary, bytes);
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::optional<std::string> from_base64(std::string_view chars) {
  if (chars.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && chars.ends_with('='); ++padding) chars.remove_suffix(1);
  return decode(kOrdinary, chars);
}

std::string base64url(std::string_view bytes) {
  return encode(kUrl, bytes);
}

std::optional<std::string> from_base64url(std::string_view chars) {
  return decode(kUrl, chars);
}

}  // namespace tidemark
