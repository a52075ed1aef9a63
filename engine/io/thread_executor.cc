#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "engine/io/clock.h"
#include "engine/io/executor.h"
#include "engine/io/sync.h"

namespace tidemark {
namespace {

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(const ThreadCounts& counts) {
    const int per_lane[kLanes] = {counts.commit, counts.read, counts.flush, counts.compaction, counts.backup};
    for (int i = 0; i < kLanes; ++i)
      for (int j = 0; j < per_lane[i]; ++j) threads_.emplace_back([this, i] { work(lanes_[i]); });
  }

  ~ThreadExecutor() override {
    for (auto& lane : lanes_) {
      MutexLock lock(lane.mutex);
      lane.stopping = true;
      lane.wake.notify_all();
    }
    for (auto& thread : threads_) thread.join();
  }

  void post(Lane lane, std::function<void()> task) override {
    Queue& queue = lanes_[static_cast<int>(lane)];
    bool sleeper;
    {
      MutexLock lock(queue.mutex);
      queue.tasks.push_back(std::move(task));
      sleeper = queue.sleeping > 0;
    }
    if (sleeper) queue.wake.notify_one();
  }

  void post_after(Lane lane, int64_t us, std::function<void()> task) override {
    if (us <= 0) return post(lane, std::move(task));
    Queue& queue = lanes_[static_cast<int>(lane)];
    MutexLock lock(queue.mutex);
    queue.later.emplace(system_clock().monotonic_us() + us, std::move(task));
    // Whoever sleeps may have to get up sooner now.
    queue.wake.notify_one();
  }

 private:
  struct Queue {
    Mutex mutex;
    CondVar wake;
    std::deque<std::function<void()>> tasks TM_GUARDED_BY(mutex);
    std::multimap<int64_t, std::function<void()>> later TM_GUARDED_BY(mutex);  // by when, monotonic
    int sleeping TM_GUARDED_BY(mutex) = 0;
    bool stopping TM_GUARDED_BY(mutex) = false;
  };

  // What of `later` is due becomes a task like others. Nothing, or the time until the next is, in
  // microseconds.
  static std::optional<int64_t> take_due(Queue& queue) TM_REQUIRES(queue.mutex) {
    while (!queue.later.empty()) {
      const auto first = queue.later.begin();
      const int64_t left_us = first->first - system_clock().monotonic_us();
      if (left_us > 0 && !queue.stopping) return left_us;
      queue.tasks.push_back(std::move(first->second));
      queue.later.erase(first);
    }
    return std::nullopt;
  }

  static void work(Queue& queue) {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(queue.mutex);
        while (true) {
          const std::optional<int64_t> next_us = take_due(queue);
          if (!queue.tasks.empty()) break;
          if (queue.stopping) return;
          ++queue.sleeping;
          if (next_us)
            queue.wake.wait_for_us(queue.mutex, *next_us);
          else
            queue.wake.wait(queue.mutex);
          --queue.sleeping;
        }
        task = std::move(queue.tasks.front());
        queue.tasks.pop_front();
      }
      task();
    }
  }

  Queue lanes_[kLanes];
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Executor> make_thread_executor(const ThreadCounts& counts) {
  return std::make_unique<ThreadExecutor>(counts);
}

}  // namespace tidemark
