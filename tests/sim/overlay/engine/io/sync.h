// Stands in for engine/io/sync.h in what the simulation is built of: the same locks and waits, for fibers of
// the simulation's scheduler. A program that includes this one must be built so throughout.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/thread_annotations.h"
#include "tests/sim/scheduler.h"

#define TIDEMARK_SIMULATED

namespace tidemark {

// Outside of a run there is one thread, which need not wait for anybody.
class TM_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  void lock() TM_ACQUIRE() {
    if (sim::Scheduler* const scheduler = sim::Scheduler::current()) {
      scheduler->maybe_yield();
      while (locked_) {
        waiting_.push_back(scheduler->running());
        scheduler->block();
      }
    }
    TM_CHECK(!locked_);
    locked_ = true;
  }
  void unlock() TM_RELEASE() {
    TM_CHECK(locked_);
    locked_ = false;
    sim::Scheduler* const scheduler = sim::Scheduler::current();
    if (scheduler == nullptr) return;
    if (!waiting_.empty()) {
      // Whoever gets up first need not be who has waited longest.
      std::swap(waiting_[scheduler->random().below(waiting_.size())], waiting_.back());
      scheduler->wake(waiting_.back());
      waiting_.pop_back();
    }
    scheduler->maybe_yield();
  }

 private:
  bool locked_ = false;
  std::vector<sim::Fiber*> waiting_;
};

class TM_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TM_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TM_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A holder must not wait: the scheduler checks it, so nobody ever finds one taken.
class TM_CAPABILITY("mutex") SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  void lock() TM_ACQUIRE() {
    TM_CHECK(!locked_);
    locked_ = true;
    if (sim::Scheduler* const scheduler = sim::Scheduler::current()) scheduler->spin_locked();
  }
  void unlock() TM_RELEASE() {
    TM_CHECK(locked_);
    locked_ = false;
    if (sim::Scheduler* const scheduler = sim::Scheduler::current()) scheduler->spin_unlocked();
  }

 private:
  bool locked_ = false;
};

class TM_SCOPED_CAPABILITY SpinLockGuard {
 public:
  explicit SpinLockGuard(SpinLock& lock) TM_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~SpinLockGuard() TM_RELEASE() { lock_.unlock(); }
  SpinLockGuard(const SpinLockGuard&) = delete;

 private:
  SpinLock& lock_;
};

class Signal {
 public:
  void tell(uint32_t why) {
    value_ = why;
    if (waiting_ == nullptr) return;
    // The signal may be gone when the waiter has run.
    sim::Scheduler::current()->wake(std::exchange(waiting_, nullptr));
  }
  uint32_t wait() {
    sim::Scheduler* const scheduler = sim::Scheduler::current();
    scheduler->maybe_yield();
    while (value_ == 0) {
      waiting_ = scheduler->running();
      scheduler->block();
    }
    return std::exchange(value_, 0);
  }
  bool told(uint32_t why) const { return value_ == why; }

 private:
  uint32_t value_ = 0;
  sim::Fiber* waiting_ = nullptr;
};

class CondVar {
 public:
  void wait(Mutex& mutex) TM_REQUIRES(mutex) {
    sim::Scheduler* const scheduler = sim::Scheduler::current();
    waiting_.push_back(scheduler->running());
    mutex.unlock();
    block(*scheduler);
    mutex.lock();
  }
  void wait_for_us(Mutex& mutex, int64_t us) TM_REQUIRES(mutex) {
    sim::Scheduler* const scheduler = sim::Scheduler::current();
    sim::Fiber* const self = scheduler->running();
    waiting_.push_back(self);
    mutex.unlock();
    if (is_waiting(self) && !scheduler->block_for_us(us)) std::erase(waiting_, self);
    mutex.lock();
  }
  void notify_one() {
    if (waiting_.empty()) return;
    sim::Scheduler* const scheduler = sim::Scheduler::current();
    std::swap(waiting_[scheduler->random().below(waiting_.size())], waiting_.back());
    take_one(*scheduler);
  }
  void notify_all() {
    while (!waiting_.empty()) take_one(*sim::Scheduler::current());
  }

 private:
  bool is_waiting(sim::Fiber* fiber) const {
    return std::find(waiting_.begin(), waiting_.end(), fiber) != waiting_.end();
  }
  // Unlocking the mutex may have let others run, and one of them notify.
  void block(sim::Scheduler& scheduler) {
    if (is_waiting(scheduler.running())) scheduler.block();
  }
  void take_one(sim::Scheduler& scheduler) {
    sim::Fiber* const fiber = waiting_.back();
    waiting_.pop_back();
    scheduler.wake_if_blocked(fiber);
  }

  std::vector<sim::Fiber*> waiting_;
};

}  // namespace tidemark
