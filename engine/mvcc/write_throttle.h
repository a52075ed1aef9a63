// How long a group of commits is held back so that merging keeps up: smooth rather than a stop.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tidemark {

// Pure. No delay below `slowdown` segments in level 0; from there the rate that is let through falls with the
// square of the distance to `stop`, from 128 MiB/s to 2 MiB/s, and stays there. Never more than 100 ms at
// once.
inline int64_t write_delay_us(uint64_t bytes, size_t level0_segments, int slowdown, int stop) {
  const auto segments = static_cast<double>(level0_segments);
  if (segments < slowdown || stop <= slowdown) return 0;
  constexpr double kFastestBytesPerUs = 134.2, kSlowestBytesPerUs = 2.1;
  const double room = std::max(0.0, (stop - segments) / (stop - slowdown));
  const double rate = std::max(kSlowestBytesPerUs, kFastestBytesPerUs * room * room);
  return static_cast<int64_t>(std::min(100'000.0, static_cast<double>(bytes) / rate));
}

}  // namespace tidemark
