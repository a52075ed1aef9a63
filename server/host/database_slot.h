// The place of one database in a host: closed, open, or on the way between.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/host/hosted_database.h"

namespace tidemark::host {

// Any thread. Opening and closing run on the read lane, never on the caller's thread.
class DatabaseSlot : public std::enable_shared_from_this<DatabaseSlot> {
 public:
  // Opens the database's files; may block. Called by one thread at a time.
  using Opener = std::function<Result<std::unique_ptr<HostedDatabase>>()>;
  // Must not block.
  using OpenDone = std::move_only_function<void(const Result<DatabaseRef>&)>;

  // A closed one. `engine` must outlive it.
  DatabaseSlot(Engine& engine, std::string name, Opener opener, LogSink log);

  // The database if it is open, else null. Quick.
  DatabaseRef get() const;
  // The same, but does not count as a use.
  DatabaseRef peek() const;
  // Opens it if it is not, and tells `done`, before it returns or later. Errors: kNotFound if it was retired;
  // otherwise the opener's, which for a little while is given again without another try.
  void open(OpenDone done);
  // REQUIRES: not on the read lane.
  Result<DatabaseRef> open_and_wait();
  // Takes a database that was opened by other means. REQUIRES: closed, and nobody else knows this slot.
  void adopt(std::unique_ptr<HostedDatabase> database);
  void rename(const std::string& name);

  // Gives the database to nobody any more, and closes it when the last who has it lets go.
  void retire();
  // Takes that back.
  void revive();
  // Commits that wait to be released are answered, and no more are taken until it was closed and opened
  // again.
  void end_gate();
  // Closes it if nobody has used it for `idle_us` microseconds; whether it did.
  bool close_if_idle(int64_t idle_us);

  // A visit opens it for what the database has to do by itself, and is over when that is done: see
  // needs_visit(). Begins one if it is closed.
  void visit();
  // Whether a visit is still to be ended by another call. Closes it if it has nothing left to do and nobody
  // has come to use it.
  bool end_visit(int64_t now_ms);
  bool opening() const;
  // Whether something in it, closed as it is, is to be deleted for having expired by `now_ms` (since 1970),
  // or may be: that is not known before it was open once.
  bool needs_visit(int64_t now_ms) const { return next_expiry_ms_.load(std::memory_order_relaxed) <= now_ms; }

  // Since this slot was made, whatever was opened and closed meanwhile. Quick.
  HostedCounters counters() const;

  // Waits until it is closed, for at most `timeout_us` microseconds; whether it is. REQUIRES: retired.
  bool wait_closed(int64_t timeout_us);
  // How the last closing went.
  Status close_status() const;

 private:
  enum class State {
    kClosed,
    kOpening,
    kOpen,
    kClosing,  // given to nobody new; some may still have it, or it is being closed
  };

  DatabaseRef make_ref(std::unique_ptr<HostedDatabase> database) TM_REQUIRES(mutex_);
  void set_current(DatabaseRef database) TM_REQUIRES(mutex_);
  DatabaseRef take_current() TM_REQUIRES(mutex_);
  // Begins to close it, with its reference in `dropped`, if nobody has more than these `own` ones.
  bool close_unless_held(DatabaseRef& dropped, long own) TM_REQUIRES(mutex_);
  void start_opening() TM_REQUIRES(mutex_);
  void run_opening();
  void start_closing(HostedDatabase* database);
  void finish_closing(std::unique_ptr<HostedDatabase> database);

  Engine& engine_;
  const Opener opener_;
  const LogSink log_;

  mutable Mutex mutex_;
  CondVar closed_;
  State state_ TM_GUARDED_BY(mutex_) = State::kClosed;
  bool retired_ TM_GUARDED_BY(mutex_) = false;
  std::string name_ TM_GUARDED_BY(mutex_);
  std::vector<OpenDone> waiting_ TM_GUARDED_BY(mutex_);
  std::weak_ptr<HostedDatabase> last_ TM_GUARDED_BY(mutex_);
  bool gate_ended_ TM_GUARDED_BY(mutex_) = false;  // of what last_ is
  bool visited_ TM_GUARDED_BY(mutex_) = false;
  // What is open or being closed, until its counters were added to those before.
  const HostedDatabase* counted_ TM_GUARDED_BY(mutex_) = nullptr;
  HostedCounters counted_before_ TM_GUARDED_BY(mutex_);
  std::optional<Error> open_error_ TM_GUARDED_BY(mutex_);
  int64_t retry_at_us_ TM_GUARDED_BY(mutex_) = 0;    // monotonic; while there is an open_error_
  int64_t idle_since_us_ TM_GUARDED_BY(mutex_) = 0;  // monotonic
  Status close_status_ TM_GUARDED_BY(mutex_);

  // Apart from the rest, for get(): who takes `mutex_` first may take this too, never the other way round.
  mutable SpinLock current_lock_;
  DatabaseRef current_ TM_GUARDED_BY(current_lock_);  // set while kOpen
  mutable std::atomic<bool> used_{false};             // since close_if_idle() last looked
  std::atomic<int64_t> next_expiry_ms_{0};            // a lower bound, of a closed one
};

}  // namespace tidemark::host
