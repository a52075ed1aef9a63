// The versionstamp: the name of one commit, and the place of that commit in the order of all.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

// Ten bytes, compared whole: an 8-byte big-endian number, then a 2-byte big-endian tail. Our own commits have
// tail 0 and number = max(last + 1, epoch << 56 | microseconds since 1970); stamps that came from elsewhere
// (a bucket of Deno Deploy) keep their tail.
struct Versionstamp {
  static constexpr size_t kBytes = 10;

  uint64_t number = 0;
  uint16_t tail = 0;

  auto operator<=>(const Versionstamp&) const = default;

  static constexpr Versionstamp min() { return {}; }
  static constexpr Versionstamp max() { return {UINT64_MAX, UINT16_MAX}; }

  std::array<char, kBytes> bytes() const;
  // REQUIRES: at least kBytes bytes at `p`.
  static Versionstamp from_bytes(const char* p);
  // 20 lower-case hex digits.
  std::string hex() const;
  // Nothing if `hex` is not 20 hex digits (either case).
  static std::optional<Versionstamp> from_hex(std::string_view hex);
};

// The next number of a line of history: strictly above `last`, in epoch `epoch`, and the clock's reading
// where that is higher. REQUIRES: 1 <= epoch <= 127, last < UINT64_MAX.
uint64_t next_versionstamp_number(uint64_t last, uint8_t epoch, int64_t unix_us);

// When a commit of our own happened, by its stamp, in microseconds since 1970. Nothing for stamps that came
// from elsewhere (epoch 0) and for Versionstamp::min().
std::optional<int64_t> versionstamp_unix_us(const Versionstamp& stamp);

}  // namespace tidemark
