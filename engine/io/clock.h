// The only door to time.
#pragma once

#include <cstdint>

namespace tidemark {

class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since 1970 by the machine's wall clock; may jump either way.
  virtual int64_t wall_us() = 0;
  // Microseconds since some fixed moment; never goes back, does not follow the wall clock.
  virtual int64_t monotonic_us() = 0;
  virtual void sleep_us(int64_t us) = 0;
};

// The machine's own. Lives as long as the process.
Clock& system_clock();

}  // namespace tidemark
