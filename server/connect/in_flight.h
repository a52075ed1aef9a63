// Counts calls that were taken and not answered yet, so that shutting down can wait for them.
#pragma once

#include <cstdint>

#include "engine/io/clock.h"
#include "engine/io/sync.h"

namespace tidemark::connect {

// Any thread.
class InFlight {
 public:
  // One call under way, from construction to destruction. Must not outlive the counter.
  class Ticket {
   public:
    explicit Ticket(InFlight& counter) : counter_(counter) { counter_.add(1); }
    ~Ticket() { counter_.add(-1); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    InFlight& counter_;
  };

  // Waits until there is none, for at most `timeout_us` microseconds. Returns how many are left.
  int64_t wait_for_none(Clock& clock, int64_t timeout_us) {
    const int64_t deadline_us = clock.monotonic_us() + timeout_us;
    MutexLock lock(mutex_);
    while (count_ > 0) {
      const int64_t left_us = deadline_us - clock.monotonic_us();
      if (left_us <= 0) break;
      none_left_.wait_for_us(mutex_, left_us);
    }
    return count_;
  }

 private:
  void add(int64_t change) {
    // Notified under the lock: once it is free, the waiter may destroy this object.
    MutexLock lock(mutex_);
    count_ += change;
    if (count_ == 0) none_left_.notify_all();
  }

  Mutex mutex_;
  CondVar none_left_;
  int64_t count_ TM_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidemark::connect
