#include "server/host/uuid.h"

#include <algorithm>

#include "engine/base/hex.h"
#include "engine/io/entropy.h"

namespace tidemark::host {
namespace {

constexpr size_t kTextChars = 36;

bool is_dash_place(size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

}  // namespace

std::string Uuid::text() const {
  std::string out;
  out.reserve(kTextChars);
  for (const uint8_t byte : bytes) {
    if (is_dash_place(out.size())) out.push_back('-');
    append_hex(out, byte);
  }
  return out;
}

std::optional<Uuid> Uuid::from_text(std::string_view text) {
  if (text.size() != kTextChars) return std::nullopt;
  Uuid out;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_dash_place(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int digit = hex_value(text[i]);
    if (digit < 0) return std::nullopt;
    uint8_t& byte = out.bytes[digits++ / 2];
    byte = static_cast<uint8_t>(byte << 4 | digit);
  }
  return out;
}

std::optional<Uuid> Uuid::from_raw(std::string_view raw) {
  Uuid out;
  if (raw.size() != out.bytes.size()) return std::nullopt;
  std::ranges::copy(raw, out.bytes.begin());
  return out;
}

Uuid random_uuid() {
  Uuid out = *Uuid::from_raw(random_bytes(sizeof out.bytes));
  out.bytes[6] = static_cast<uint8_t>((out.bytes[6] & 0x0f) | 0x40);
  out.bytes[8] = static_cast<uint8_t>((out.bytes[8] & 0x3f) | 0x80);
  return out;
}

}  // namespace tidemark::host
