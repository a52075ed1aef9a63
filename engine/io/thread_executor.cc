#include <deque>
#include <thread>
#include <vector>

#include "engine/io/executor.h"
#include "engine/io/sync.h"

namespace tidemark {
namespace {

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(const ThreadCounts& counts) {
    const int per_lane[kLanes] = {counts.commit, counts.read, counts.flush, counts.compaction};
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

 private:
  struct Queue {
    Mutex mutex;
    CondVar wake;
    std::deque<std::function<void()>> tasks TM_GUARDED_BY(mutex);
    int sleeping TM_GUARDED_BY(mutex) = 0;
    bool stopping TM_GUARDED_BY(mutex) = false;
  };

  static void work(Queue& queue) {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(queue.mutex);
        while (queue.tasks.empty()) {
          if (queue.stopping) return;
          ++queue.sleeping;
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
