// While a database is open the slot holds one reference itself, so that what others let go is never the last.
// To close it the slot drops its own: then whoever lets go last, on whatever thread, posts the closing to the
// read lane. Nothing that a closing waits for (commits, flushes, merges) runs there, and no task of that lane
// waits for another: who wants a database that is being closed leaves word, and the closing opens it again.
#include "server/host/database_slot.h"

#include <limits>
#include <utility>

#include "engine/base/check.h"

namespace tidemark::host {
namespace {

// A broken database must not be tried anew for each of a client's retries.
constexpr int64_t kRetryPauseUs = 5'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

std::unexpected<Error> retired() {
  return fail(ErrorCode::kNotFound, "the database was deleted");
}

}  // namespace

DatabaseSlot::DatabaseSlot(Engine& engine, std::string name, Opener opener, LogSink log)
    : engine_(engine), opener_(std::move(opener)), log_(std::move(log)), name_(std::move(name)) {}

DatabaseRef DatabaseSlot::get() const {
  if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  return peek();
}

DatabaseRef DatabaseSlot::peek() const {
  SpinLockGuard guard(current_lock_);
  return current_;
}

void DatabaseSlot::open(OpenDone done) {
  DatabaseRef database;
  Error error{};
  {
    MutexLock lock(mutex_);
    used_.store(true, std::memory_order_relaxed);
    if (retired_) {
      error = retired().error();
    } else if (state_ == State::kOpen) {
      database = get();
    } else if (state_ == State::kClosing && !gate_ended_ && (database = last_.lock())) {
      // Somebody still has it.
      state_ = State::kOpen;
      set_current(database);
    } else if (state_ == State::kClosed && open_error_ && engine_.clock().monotonic_us() < retry_at_us_) {
      error = *open_error_;
    } else {
      waiting_.push_back(std::move(done));
      if (state_ == State::kClosed) start_opening();
      return;
    }
  }
  if (database) return done(std::move(database));
  done(std::unexpected(std::move(error)));
}

Result<DatabaseRef> DatabaseSlot::open_and_wait() {
  Mutex mutex;
  CondVar told;
  std::optional<Result<DatabaseRef>> result;
  open([&](const Result<DatabaseRef>& given) {
    MutexLock lock(mutex);
    result = given;
    told.notify_all();
  });
  MutexLock lock(mutex);
  while (!result) told.wait(mutex);
  return *std::move(result);
}

void DatabaseSlot::adopt(std::unique_ptr<HostedDatabase> database) {
  MutexLock lock(mutex_);
  TM_CHECK(state_ == State::kClosed);
  database->set_name(name_);
  state_ = State::kOpen;
  set_current(make_ref(std::move(database)));
}

void DatabaseSlot::rename(const std::string& name) {
  MutexLock lock(mutex_);
  name_ = name;
  if (const DatabaseRef database = last_.lock()) database->set_name(name);
}

void DatabaseSlot::retire() {
  DatabaseRef dropped;  // after the lock
  {
    MutexLock lock(mutex_);
    retired_ = true;
    if (state_ == State::kOpen) {
      state_ = State::kClosing;
      dropped = take_current();
      // Those who hold it for as long as they can are to let go.
      dropped->store().expiry().stop();
      dropped->store().watch_hub().notify_all();
    }
  }
  end_gate();
}

void DatabaseSlot::end_gate() {
  DatabaseRef database;
  {
    MutexLock lock(mutex_);
    database = last_.lock();
  }
  if (database == nullptr || !database->database().end_gate()) return;
  MutexLock lock(mutex_);
  gate_ended_ = true;
}

void DatabaseSlot::revive() {
  MutexLock lock(mutex_);
  retired_ = false;
}

bool DatabaseSlot::close_if_idle(int64_t idle_us) {
  DatabaseRef dropped;  // after the lock
  MutexLock lock(mutex_);
  const int64_t now_us = engine_.clock().monotonic_us();
  if (used_.exchange(false, std::memory_order_relaxed)) idle_since_us_ = now_us;
  if (state_ != State::kOpen || now_us - idle_since_us_ < idle_us) return false;
  return close_unless_held(dropped, 1);
}

bool DatabaseSlot::close_unless_held(DatabaseRef& dropped, long own) {
  {
    // One more can be had under these locks alone. Who has it may work on the database, and whoever looks
    // after those that are open is to know of it.
    SpinLockGuard guard(current_lock_);
    if (last_.use_count() > own) return false;
    dropped = std::exchange(current_, nullptr);
  }
  state_ = State::kClosing;
  return true;
}

void DatabaseSlot::visit() {
  MutexLock lock(mutex_);
  if (state_ != State::kClosed || retired_) return;
  visited_ = true;
  used_.store(false, std::memory_order_relaxed);
  start_opening();
}

bool DatabaseSlot::end_visit(int64_t now_ms) {
  DatabaseRef dropped;  // after the lock
  MutexLock lock(mutex_);
  if (state_ == State::kOpening) return true;
  if (state_ != State::kOpen || used_.load(std::memory_order_relaxed)) visited_ = false;
  if (!visited_) return false;
  const DatabaseRef database = last_.lock();
  if (database->store().expiry().next_ms() <= now_ms) return true;
  // This one's and the slot's own.
  visited_ = !close_unless_held(dropped, 2);
  return visited_;
}

bool DatabaseSlot::opening() const {
  MutexLock lock(mutex_);
  return state_ == State::kOpening;
}

HostedCounters DatabaseSlot::counters() const {
  MutexLock lock(mutex_);
  HostedCounters sum = counted_before_;
  if (counted_ != nullptr) sum += counted_->counters();
  return sum;
}

bool DatabaseSlot::wait_closed(int64_t timeout_us) {
  const int64_t deadline_us = engine_.clock().monotonic_us() + timeout_us;
  MutexLock lock(mutex_);
  TM_CHECK(retired_);
  while (state_ != State::kClosed) {
    const int64_t left_us = deadline_us - engine_.clock().monotonic_us();
    if (left_us <= 0) return false;
    closed_.wait_for_us(mutex_, left_us);
  }
  return true;
}

Status DatabaseSlot::close_status() const {
  MutexLock lock(mutex_);
  return close_status_;
}

DatabaseRef DatabaseSlot::make_ref(std::unique_ptr<HostedDatabase> database) {
  counted_ = database.get();
  return DatabaseRef(database.release(),
                     [self = shared_from_this()](HostedDatabase* last) { self->start_closing(last); });
}

void DatabaseSlot::set_current(DatabaseRef database) {
  last_ = database;
  database->store().expiry().start();
  idle_since_us_ = engine_.clock().monotonic_us();
  SpinLockGuard guard(current_lock_);
  current_ = std::move(database);
}

DatabaseRef DatabaseSlot::take_current() {
  SpinLockGuard guard(current_lock_);
  return std::exchange(current_, nullptr);
}

void DatabaseSlot::start_opening() {
  state_ = State::kOpening;
  engine_.executor().post(Lane::kRead, [self = shared_from_this()] { self->run_opening(); });
}

void DatabaseSlot::run_opening() {
  Result<std::unique_ptr<HostedDatabase>> opened = opener_();
  Result<DatabaseRef> result;
  DatabaseRef dropped;
  std::vector<OpenDone> waiting;
  {
    MutexLock lock(mutex_);
    if (opened) {
      (*opened)->set_name(name_);
      result = make_ref(std::move(*opened));
      open_error_.reset();
      state_ = State::kOpen;
      gate_ended_ = false;
      set_current(*result);
    } else {
      result = std::unexpected(opened.error());
      open_error_ = opened.error();
      retry_at_us_ = engine_.clock().monotonic_us() + kRetryPauseUs;
      // Not visited again before somebody has had it open.
      next_expiry_ms_.store(kNever, std::memory_order_relaxed);
      state_ = State::kClosed;
      if (log_) {
        log_(LogLevel::kError, "the database '" + name_ + "' cannot be opened: " + opened.error().message);
      }
    }
    if (retired_) {
      result = retired();
      if (state_ == State::kOpen) {
        state_ = State::kClosing;
        dropped = take_current();
      }
    }
    waiting.swap(waiting_);
    closed_.notify_all();
  }
  for (OpenDone& done : waiting) done(result);
}

void DatabaseSlot::start_closing(HostedDatabase* database) {
  engine_.executor().post(Lane::kRead, [self = shared_from_this(), database] {
    self->finish_closing(std::unique_ptr<HostedDatabase>(database));
  });
}

void DatabaseSlot::finish_closing(std::unique_ptr<HostedDatabase> database) {
  const Status closed = database->database().close();
  next_expiry_ms_.store(database->store().expiry().next_ms(), std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    counted_before_ += database->counters();
    counted_ = nullptr;
  }
  database.reset();
  std::vector<OpenDone> refused;
  {
    MutexLock lock(mutex_);
    close_status_ = closed;
    last_.reset();  // it keeps this slot alive
    if (!closed && log_) {
      log_(LogLevel::kError, "the database '" + name_ + "' did not close cleanly: " + closed.error().message);
    }
    if (retired_) {
      refused.swap(waiting_);
      state_ = State::kClosed;
    } else if (waiting_.empty()) {
      state_ = State::kClosed;
    } else {
      start_opening();
    }
    closed_.notify_all();
  }
  for (OpenDone& done : refused) done(retired());
}

}  // namespace tidemark::host
