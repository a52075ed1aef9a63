// Bytes as hex digits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

inline constexpr char kHexDigits[] = "0123456789abcdef";

// Two digits, in lower case.
inline void append_hex(std::string& out, uint8_t byte) {
  out.push_back(kHexDigits[byte >> 4]);
  out.push_back(kHexDigits[byte & 15]);
}
inline std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) append_hex(out, static_cast<uint8_t>(c));
  return out;
}

// What a digit of either case stands for; -1 if it is none.
inline int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing unless the text is hex digits of either case, two a byte.
inline std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out(hex.size() / 2, '\0');
  for (size_t i = 0; i < hex.size(); ++i) {
    const int digit = hex_value(hex[i]);
    if (digit < 0) return std::nullopt;
    out[i / 2] = static_cast<char>(static_cast<uint8_t>(out[i / 2]) << 4 | digit);
  }
  return out;
}

}  // namespace tidemark
