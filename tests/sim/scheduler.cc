// Fibers are Boost's. run() is the loop that they all return to: it makes one that can run go on, or, if none
// can, lets time pass until one may.
#include "tests/sim/scheduler.h"

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "engine/base/check.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace tidemark::sim {
namespace {

constexpr size_t kStackBytes = size_t{512} << 10;
constexpr int64_t kSwitchUs = 1;
constexpr uint64_t kMostSwitches = 100'000'000;

Scheduler* current_scheduler = nullptr;

// Stacks are used again: a simulation makes many short-lived fibers.
class Stacks {
 public:
  static boost::context::stack_context take() {
    char* memory = nullptr;
    if (spare().empty()) {
      memory = static_cast<char*>(std::malloc(kStackBytes));
      TM_CHECK(memory != nullptr);
    } else {
      memory = spare().back();
      spare().pop_back();
    }
    boost::context::stack_context stack;
    stack.size = kStackBytes;
    stack.sp = memory + kStackBytes;
    return stack;
  }
  static void give_back(const boost::context::stack_context& stack) {
    spare().push_back(static_cast<char*>(stack.sp) - kStackBytes);
  }

 private:
  // Never destroyed, so that what it holds is not taken for lost.
  static std::vector<char*>& spare() {
    static auto* const stacks = new std::vector<char*>();
    return *stacks;
  }
};

struct PooledStack {
  const void** bottom;  // told where it is
  boost::context::stack_context allocate() {
    const boost::context::stack_context stack = Stacks::take();
    *bottom = static_cast<char*>(stack.sp) - stack.size;
    return stack;
  }
  void deallocate(boost::context::stack_context& stack) noexcept { Stacks::give_back(stack); }
};

// AddressSanitizer is told of each change of stacks.
#ifdef __SANITIZE_ADDRESS__
void leaving(void** frames, const void* to, size_t bytes) {
  __sanitizer_start_switch_fiber(frames, to, bytes);
}
void arrived(void* frames, const void** from, size_t* bytes) {
  __sanitizer_finish_switch_fiber(frames, from, bytes);
}
#else
void leaving(void**, const void*, size_t) {}
void arrived(void*, const void**, size_t*) {}
#endif

}  // namespace

class Fiber {
 public:
  explicit Fiber(std::function<void()> body)
      : body_(std::move(body)),
        context_(std::allocator_arg, PooledStack{&stack_}, [this](boost::context::fiber&& loop) {
          arrived(nullptr, &loop_stack_, &loop_stack_bytes_);
          loop_ = std::move(loop);
          body_();
          body_ = nullptr;
          ended = true;
          leaving(nullptr, loop_stack_, loop_stack_bytes_);
          return std::move(loop_);
        }) {}

  void enter() {
    void* frames = nullptr;
    leaving(&frames, stack_, kStackBytes);
    context_ = std::move(context_).resume();
    arrived(frames, nullptr, nullptr);
  }
  void leave() {
    void* frames = nullptr;
    leaving(&frames, loop_stack_, loop_stack_bytes_);
    loop_ = std::move(loop_).resume();
    arrived(frames, &loop_stack_, &loop_stack_bytes_);
  }

  bool ended = false;
  bool woken = false;
  bool waits = false;  // in block() or block_for_us()
  int spin_locks = 0;
  std::multimap<int64_t, Fiber*>::iterator timer;
  bool has_timer = false;

 private:
  const void* stack_ = nullptr;
  const void* loop_stack_ = nullptr;
  size_t loop_stack_bytes_ = 0;
  std::function<void()> body_;
  boost::context::fiber loop_;
  boost::context::fiber context_;
};

Scheduler::Scheduler(uint64_t seed) : random_(seed) {}

Scheduler::~Scheduler() {
  TM_CHECK(fibers_.empty());
}

Scheduler* Scheduler::current() {
  return current_scheduler;
}

void Scheduler::spawn(std::function<void()> body) {
  runnable_.push_back(fibers_.emplace_back(std::make_unique<Fiber>(std::move(body))).get());
}

void Scheduler::run(std::function<void()> main) {
  Scheduler* const outer = std::exchange(current_scheduler, this);
  spawn(std::move(main));
  while (!fibers_.empty()) {
    if (runnable_.empty()) {
      if (timers_.empty()) end_stuck();
      now_us_ = std::max(now_us_, timers_.begin()->first);
    }
    fire_timers();
    const size_t chosen = random_.below(runnable_.size());
    Fiber* const fiber = runnable_[chosen];
    runnable_[chosen] = runnable_.back();
    runnable_.pop_back();
    resume(fiber);
  }
  current_scheduler = outer;
}

void Scheduler::resume(Fiber* fiber) {
  now_us_ += kSwitchUs;
  // Whatever is simulated ends long before.
  TM_CHECK(++switches_ < kMostSwitches);
  running_ = fiber;
  fiber->enter();
  running_ = nullptr;
  if (!fiber->ended) return;
  std::erase_if(fibers_, [fiber](const auto& one) { return one.get() == fiber; });
}

void Scheduler::fire_timers() {
  while (!timers_.empty() && timers_.begin()->first <= now_us_) {
    Fiber* const fiber = timers_.begin()->second;
    timers_.erase(timers_.begin());
    fiber->has_timer = false;
    fiber->waits = false;
    runnable_.push_back(fiber);
  }
}

void Scheduler::end_stuck() {
  std::fprintf(stderr, "simulation: %zu fibers wait for each other, and no time helps\n", fibers_.size());
  std::abort();
}

void Scheduler::leave() {
  Fiber* const fiber = running_;
  TM_CHECK(fiber != nullptr && fiber->spin_locks == 0);
  fiber->leave();
}

void Scheduler::yield() {
  runnable_.push_back(running_);
  leave();
}

void Scheduler::maybe_yield() {
  if (running_->spin_locks == 0 && random_.one_in(8)) yield();
}

void Scheduler::sleep_us(int64_t us) {
  running_->timer = timers_.emplace(now_us_ + us, running_);
  running_->has_timer = true;
  leave();
}

void Scheduler::block() {
  running_->waits = true;
  leave();
}

bool Scheduler::block_for_us(int64_t us) {
  Fiber* const self = running_;
  self->woken = false;
  self->waits = true;
  self->timer = timers_.emplace(now_us_ + us, self);
  self->has_timer = true;
  leave();
  return self->woken;
}

void Scheduler::wake(Fiber* fiber) {
  TM_CHECK(fiber->waits);
  if (fiber->has_timer) {
    timers_.erase(fiber->timer);
    fiber->has_timer = false;
  }
  fiber->waits = false;
  fiber->woken = true;
  runnable_.push_back(fiber);
}

void Scheduler::wake_if_blocked(Fiber* fiber) {
  if (fiber->waits) wake(fiber);
}

void Scheduler::spin_locked() {
  ++running_->spin_locks;
}

void Scheduler::spin_unlocked() {
  --running_->spin_locks;
}

}  // namespace tidemark::sim
