#include "engine/base/versionstamp.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/hex.h"

namespace tidemark {

std::array<char, Versionstamp::kBytes> Versionstamp::bytes() const {
  std::array<char, kBytes> out;
  store_be64(out.data(), number);
  store_be16(out.data() + 8, tail);
  return out;
}

Versionstamp Versionstamp::from_bytes(const char* p) {
  return {load_be64(p), load_be16(p + 8)};
}

std::string Versionstamp::hex() const {
  const auto raw = bytes();
  return to_hex({raw.data(), raw.size()});
}

std::optional<Versionstamp> Versionstamp::from_hex(std::string_view hex) {
  if (hex.size() != 2 * kBytes) return std::nullopt;
  const std::optional<std::string> raw = tidemark::from_hex(hex);
  if (!raw) return std::nullopt;
  return from_bytes(raw->data());
}

uint64_t next_versionstamp_number(uint64_t last, uint8_t epoch, int64_t unix_us) {
  const uint64_t us = unix_us > 0 ? static_cast<uint64_t>(unix_us) & ((uint64_t{1} << 56) - 1) : 0;
  return std::max(last + 1, (static_cast<uint64_t>(epoch) << 56) | us);
}

std::optional<int64_t> versionstamp_unix_us(const Versionstamp& stamp) {
  if (stamp.number >> 56 == 0) return std::nullopt;
  return static_cast<int64_t>(stamp.number & ((uint64_t{1} << 56) - 1));
}

}  // namespace tidemark
