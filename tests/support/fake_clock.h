// Time as a test says. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/io/clock.h"

namespace tidemark {

class FakeClock final : public Clock {
 public:
  int64_t wall_us() override { return wall_us_; }
  int64_t monotonic_us() override { return monotonic_us_; }
  // Lets other threads run, for no longer than a millisecond; no time passes by it.
  void sleep_us(int64_t us) override { system_clock().sleep_us(std::min<int64_t>(us, 1000)); }

  // Time goes by: both clocks move.
  void pass_ms(int64_t ms) {
    monotonic_us_ += ms * 1000;
    wall_us_ += ms * 1000;
  }
  // Somebody sets the wall clock; no time passes.
  void jump_wall_ms(int64_t ms) { wall_us_ += ms * 1000; }
  int64_t wall_ms() const { return wall_us_ / 1000; }

 private:
  std::atomic<int64_t> wall_us_{1'700'000'000'000'000};
  std::atomic<int64_t> monotonic_us_{5'000'000};
};

}  // namespace tidemark
