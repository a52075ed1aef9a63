// Locks and waiting. The engine and the server use these and no others, so that a simulation can stand in.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "engine/base/thread_annotations.h"

namespace tidemark {

class TM_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  void lock() TM_ACQUIRE() { mutex_.lock(); }
  void unlock() TM_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class TM_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TM_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TM_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// For a few instructions under contention that hardly ever comes; a holder must not block.
class TM_CAPABILITY("mutex") SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  void lock() TM_ACQUIRE() {
    while (flag_.test_and_set(std::memory_order_acquire)) flag_.wait(true, std::memory_order_relaxed);
  }
  void unlock() TM_RELEASE() {
    flag_.clear(std::memory_order_release);
    flag_.notify_one();
  }

 private:
  std::atomic_flag flag_;
};

class TM_SCOPED_CAPABILITY SpinLockGuard {
 public:
  explicit SpinLockGuard(SpinLock& lock) TM_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~SpinLockGuard() TM_RELEASE() { lock_.unlock(); }
  SpinLockGuard(const SpinLockGuard&) = delete;

 private:
  SpinLock& lock_;
};

// One thread waits; others tell it a number that says why it should wake.
class Signal {
 public:
  // REQUIRES: why != 0. A later call replaces what an earlier one told if it was not waited for yet. All that
  // the caller did before is seen by the waiter. The signal may be gone when this returns.
  void tell(uint32_t why) {
    value_.store(why, std::memory_order_release);
    value_.notify_one();
  }
  // Waits until told, forgets it and returns it.
  uint32_t wait() {
    uint32_t why;
    while ((why = value_.exchange(0, std::memory_order_acquire)) == 0)
      value_.wait(0, std::memory_order_relaxed);
    return why;
  }
  // Whether this was the last that was told, and is not yet waited for.
  bool told(uint32_t why) const { return value_.load(std::memory_order_acquire) == why; }

 private:
  std::atomic<uint32_t> value_ = 0;
};

// May wake without a notify: wait in a loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) TM_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // Returns after a notify or after `us` microseconds.
  void wait_for_us(Mutex& mutex, int64_t us) TM_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait_for(lock, std::chrono::microseconds(us));
    lock.release();
  }
  void notify_one() { cv_.notify_one(); }
  void notify_all() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace tidemark
