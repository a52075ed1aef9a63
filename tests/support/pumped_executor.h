// Threads that are none: tasks run when they are told to, one after the other, on the thread that tells them.
// So all that happens is in one order, always the same.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "engine/io/executor.h"
#include "engine/io/sync.h"

namespace tidemark {

class PumpedExecutor final : public Executor {
 public:
  ~PumpedExecutor() override { run(); }

  void post(Lane, std::function<void()> task) override {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_one();
  }
  // Time is the test's affair: it has passed when the task's turn comes.
  void post_after(Lane lane, int64_t, std::function<void()> task) override { post(lane, std::move(task)); }

  // Runs tasks until none is left, those that they post included.
  void run() {
    while (auto task = take(false)) task();
  }

  // Calls `f`, which may wait for tasks, while another thread runs them; and then what is left of them.
  template <class F>
  void run_beside(F&& f) {
    {
      MutexLock lock(mutex_);
      stopping_ = false;
    }
    std::thread other([this] {
      while (auto task = take(true)) task();
    });
    f();
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    other.join();
    run();
  }

 private:
  // Null if there is none; with `wait`, if there is none and `f` above has returned.
  std::function<void()> take(bool wait) {
    MutexLock lock(mutex_);
    while (wait && tasks_.empty() && !stopping_) changed_.wait(mutex_);
    if (tasks_.empty()) return nullptr;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ TM_GUARDED_BY(mutex_);
  bool stopping_ TM_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark
