#include "server/host/base64url.h"

#include <cstdint>

namespace tidemark::host {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  return c == '_' ? 63 : -1;
}

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string out;
  out.reserve(base64url_chars(bytes.size()));
  uint32_t pending = 0;
  int bits = 0;
  for (const char c : bytes) {
    pending = pending << 8 | static_cast<uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(kAlphabet[pending >> (bits - 6) & 63]);
  }
  if (bits > 0) out.push_back(kAlphabet[pending << (6 - bits) & 63]);
  return out;
}

std::optional<std::string> from_base64url(std::string_view chars) {
  std::string out;
  uint32_t pending = 0;
  int bits = 0;
  for (const char c : chars) {
    const int digit = digit_of(c);
    if (digit < 0) return std::nullopt;
    pending = pending << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(pending >> bits));
    }
  }
  if ((pending & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace tidemark::host
