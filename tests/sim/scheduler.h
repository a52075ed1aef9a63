// Threads that are not: one runs at a time, which one is chosen by a seed, and time passes only as they say.
// The same seed gives the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/random.h"

namespace tidemark::sim {

class Fiber;

// All functions but run() and spawn() are for a fiber of this scheduler.
class Scheduler {
 public:
  explicit Scheduler(uint64_t seed);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;

  // The one whose fiber is running; null outside of any run.
  static Scheduler* current();

  // Runs `main` as a fiber, and with it all that it starts, until all have ended. May be called within a
  // fiber of another scheduler, which stands still meanwhile. Ends the process if all fibers wait for each
  // other.
  void run(std::function<void()> main);
  // May also be called before run().
  void spawn(std::function<void()> body);

  // Others may run.
  void yield();
  // The same, now and then.
  void maybe_yield();
  void sleep_us(int64_t us);
  // Waits until it is woken.
  void block();
  // The same, for at most so long. Whether it was woken.
  bool block_for_us(int64_t us);
  Fiber* running() const { return running_; }
  // REQUIRES: `fiber` is in block() or block_for_us().
  void wake(Fiber* fiber);
  // The same for one that may not be there yet.
  void wake_if_blocked(Fiber* fiber);

  // Since the start of the run; passes by itself, a little with each change of fibers.
  int64_t now_us() const { return now_us_; }
  Random& random() { return random_; }

  // A fiber that holds one must not wait.
  void spin_locked();
  void spin_unlocked();

 private:
  using Timers = std::multimap<int64_t, Fiber*>;

  void leave();
  void fire_timers();
  void resume(Fiber* fiber);
  void end_stuck();

  Random random_;
  Fiber* running_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> runnable_;
  Timers timers_;
  int64_t now_us_ = 0;
  uint64_t switches_ = 0;
};

}  // namespace tidemark::sim
