// Moments as text, RFC 3339, to the millisecond.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

// The years 0 to 9999, which the text is made for, in milliseconds since 1970.
inline constexpr int64_t kFirstTextMs = -62'167'219'200'000;
inline constexpr int64_t kLastTextMs = 253'402'300'799'999;

// "2026-01-02T03:04:05.678Z". Beyond those years it does not read back.
std::string format_time(int64_t unix_ms);
// As RFC 3339 has it: 'T' or a space between date and time, up to nine digits behind the second, of which the
// first three count, 'Z' or an offset. Nothing for everything else, and for days that are in no calendar.
std::optional<int64_t> parse_time(std::string_view text);

}  // namespace tidemark
