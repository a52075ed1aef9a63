// A whole simulated machine: one run of a process on a disk.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "engine/io/clock.h"
#include "engine/io/executor.h"
#include "engine/options.h"
#include "tests/sim/file_system.h"
#include "tests/sim/scheduler.h"

namespace tidemark::sim {

class SimClock final : public Clock {
 public:
  // `wall_us`: what the wall clock shows when the run begins.
  SimClock(Scheduler& scheduler, int64_t wall_us) : scheduler_(scheduler), wall_offset_us_(wall_us) {}
  int64_t wall_us() override { return wall_offset_us_ + scheduler_.now_us(); }
  int64_t monotonic_us() override { return 1'000'000 + scheduler_.now_us(); }
  void sleep_us(int64_t us) override { scheduler_.sleep_us(us); }
  // Somebody sets the wall clock.
  void jump_us(int64_t us) { wall_offset_us_ += us; }

 private:
  Scheduler& scheduler_;
  int64_t wall_offset_us_;
};

// As many tasks of a lane run at once as the real one has threads.
class SimExecutor final : public Executor {
 public:
  explicit SimExecutor(Scheduler& scheduler);
  void post(Lane lane, std::function<void()> task) override;
  void post_after(Lane lane, int64_t us, std::function<void()> task) override;

 private:
  struct Queue {
    int threads = 1;
    int running = 0;
    std::deque<std::function<void()>> tasks;
  };

  void work(Queue& queue);

  Scheduler& scheduler_;
  std::array<Queue, kLanes> lanes_;
};

// The components of an engine, for one run. `seed` decides everything that is left to chance.
class Machine {
 public:
  Machine(uint64_t seed, Disk& disk, int64_t wall_us)
      : scheduler_(seed),
        file_system_(scheduler_, disk),
        clock_(scheduler_, wall_us),
        executor_(scheduler_) {}

  Scheduler& scheduler() { return scheduler_; }
  SimFileSystem& file_system() { return file_system_; }
  SimClock& clock() { return clock_; }
  SimExecutor& executor() { return executor_; }
  Random& random() { return scheduler_.random(); }
  EngineComponents components(LogSink log = {}) {
    return {&file_system_, &clock_, &executor_, std::move(log)};
  }
  // Runs `main` as the machine's first thread, and waits until all have ended.
  void run(std::function<void()> main) { scheduler_.run(std::move(main)); }

 private:
  Scheduler scheduler_;
  SimFileSystem file_system_;
  SimClock clock_;
  SimExecutor executor_;
};

}  // namespace tidemark::sim
