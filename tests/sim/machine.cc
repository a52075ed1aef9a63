#include "tests/sim/machine.h"

#include <malloc.h>

#include <utility>

#include "engine/base/check.h"
#include "engine/io/entropy.h"
#include "engine/io/posix_file_system.h"
#include "engine/io/sync.h"

#ifndef TIDEMARK_SIMULATED
#error "built with the real engine/io/sync.h"
#endif

namespace tidemark {

// What the real doors would give. Nothing here may reach the real machine, so only chance has an answer.

std::string random_bytes(size_t size) {
  sim::Scheduler* const scheduler = sim::Scheduler::current();
  TM_CHECK(scheduler != nullptr);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(scheduler->random().next());
  return bytes;
}

FileSystem& posix_file_system() {
  TM_CHECK(!"a simulation reached for the real file system");
}

Clock& system_clock() {
  TM_CHECK(!"a simulation reached for the real clock");
}

std::unique_ptr<Executor> make_thread_executor(const ThreadCounts&) {
  TM_CHECK(!"a simulation reached for real threads");
}

namespace sim {
namespace {

// Simulations make and drop files of some hundred KiB all the time: giving each back to the system costs more
// than all the rest. (Another allocator than glibc's, a sanitizer's say, does as it likes.)
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

}  // namespace

SimExecutor::SimExecutor(Scheduler& scheduler) : scheduler_(scheduler) {
  static const bool once = (keep_memory(), true);
  (void)once;
  constexpr ThreadCounts kCounts;
  constexpr int kPerLane[kLanes] = {kCounts.commit, kCounts.read, kCounts.flush, kCounts.compaction,
                                    kCounts.backup};
  for (size_t lane = 0; lane < kLanes; ++lane) lanes_[lane].threads = kPerLane[lane];
}

void SimExecutor::work(Queue& queue) {
  while (!queue.tasks.empty()) {
    const std::function<void()> task = std::move(queue.tasks.front());
    queue.tasks.pop_front();
    task();
    scheduler_.maybe_yield();
  }
  --queue.running;
}

void SimExecutor::post(Lane lane, std::function<void()> task) {
  Queue& queue = lanes_[static_cast<size_t>(lane)];
  queue.tasks.push_back(std::move(task));
  if (queue.running == queue.threads) return;
  ++queue.running;
  scheduler_.spawn([this, &queue] { work(queue); });
}

void SimExecutor::post_after(Lane lane, int64_t us, std::function<void()> task) {
  scheduler_.spawn([this, lane, us, task = std::move(task)]() mutable {
    scheduler_.sleep_us(us);
    post(lane, std::move(task));
  });
}

}  // namespace sim
}  // namespace tidemark
