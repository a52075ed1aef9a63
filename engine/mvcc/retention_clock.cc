#include "engine/mvcc/retention_clock.h"

#include <algorithm>
#include <string>

namespace tidemark {
namespace {

constexpr int64_t kJumpUs = int64_t{3600} * 1'000'000;

}  // namespace

RetentionClock::RetentionClock(Clock& clock, int64_t stored_ms, LogSink log)
    : clock_(clock), log_(std::move(log)), monotonic_us_(clock.monotonic_us()), wall_us_(clock.wall_us()) {
  // If the wall clock was set back meanwhile, this one stands still until that has caught up: going back
  // would have it jump from there to where it was stored at the next opening.
  now_ms_ = stored_ms == 0 ? wall_us_ / 1000 : stored_ms;
}

int64_t RetentionClock::now_ms() {
  MutexLock lock(mutex_);
  const int64_t monotonic_us = clock_.monotonic_us(), wall_us = clock_.wall_us();
  const int64_t passed_us = monotonic_us - monotonic_us_;
  const int64_t jump_us = (wall_us - wall_us_) - passed_us;
  if ((jump_us > kJumpUs || jump_us < -kJumpUs) && log_)
    log_(LogLevel::kWarning, "the wall clock jumped by " + std::to_string(jump_us / 1'000'000) +
                                 " seconds; history does not age by it");
  now_ms_ = std::max(now_ms_, std::min(now_ms_ + passed_us / 1000, wall_us / 1000));
  monotonic_us_ += passed_us / 1000 * 1000;
  wall_us_ = wall_us - passed_us % 1000;
  return now_ms_;
}

}  // namespace tidemark
