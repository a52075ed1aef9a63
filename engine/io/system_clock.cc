#include <time.h>

#include "engine/io/clock.h"

namespace tidemark {
namespace {

int64_t read_us(clockid_t id) {
  timespec ts;
  ::clock_gettime(id, &ts);
  return int64_t{ts.tv_sec} * 1'000'000 + ts.tv_nsec / 1000;
}

class SystemClock final : public Clock {
 public:
  int64_t wall_us() override { return read_us(CLOCK_REALTIME); }
  int64_t monotonic_us() override { return read_us(CLOCK_MONOTONIC); }
  void sleep_us(int64_t us) override {
    if (us <= 0) return;
    const timespec ts = {static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000 * 1000)};
    ::nanosleep(&ts, nullptr);
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock instance;
  return instance;
}

}  // namespace tidemark
