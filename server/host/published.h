// A value that many threads look at often, and that is replaced as a whole and rarely.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "engine/io/sync.h"

namespace tidemark::host {

// Each slot has a lock and a pointer of its own, and each thread a slot: threads do not meet while they look.
template <class T>
class Published {
 public:
  Published() { publish(std::make_shared<const T>()); }

  // Gives look(value) of the newest value. `look` must not block: a writer may be waiting for it.
  template <class F>
  auto with(F&& look) const {
    static std::atomic<size_t> next_thread{0};
    thread_local const size_t mine = next_thread.fetch_add(1, std::memory_order_relaxed) % kSlots;
    const Slot& slot = slots_[mine];
    SpinLockGuard guard(slot.lock);
    return look(*slot.value);
  }

  // One thread at a time. When it returns, nobody looks at an older value any more.
  void publish(std::shared_ptr<const T> value) {
    for (Slot& slot : slots_) {
      std::shared_ptr<const T> old = value;
      SpinLockGuard guard(slot.lock);
      slot.value.swap(old);
    }
  }

 private:
  static constexpr size_t kSlots = 8;
  struct alignas(64) Slot {
    mutable SpinLock lock;
    std::shared_ptr<const T> value TM_GUARDED_BY(lock);
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace tidemark::host
