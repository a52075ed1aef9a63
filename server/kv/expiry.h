// Deletes what has expired. Readers and transactions do not need it: for them an entry is absent from its
// millisecond on. It gives back the space, tells watchers, and makes the deletion a commit of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/mutant.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/kv/watch_hub.h"

namespace tidemark::kv {

// Any thread. The engine, the database and the hub must outlive it.
class ExpirySweeper {
 public:
  ExpirySweeper(Engine& engine, Database& database, WatchHub& hub);
  // REQUIRES: nothing is under way.
  ~ExpirySweeper();

  // An entry that expires then was committed.
  void note(int64_t expire_at_ms);
  // To be called regularly: begins to delete in the background if something is due and that is not under way.
  // Costs next to nothing otherwise. `owner` is held until that is done.
  void poll(std::shared_ptr<const void> owner);
  // Begins nothing any more until start() is called, and ends what is under way soon. Does not wait for that.
  void stop();
  void start();
  // Waits until nothing is under way. REQUIRES: stop() was called; not on the read lane.
  void wait_idle();

  // Nothing is to be deleted before then (milliseconds since 1970; INT64_MAX: nothing expires). A lower
  // bound; 0 while it is not known.
  int64_t next_ms() const;
  // How long the oldest entry that is due has been waiting to be deleted, in milliseconds; 0: none is.
  int64_t lag_ms() const;
  uint64_t deleted() const { return deleted_.load(std::memory_order_relaxed); }

 private:
  class Batch;

  int64_t now_ms() const;
  void step();
  // The sweep is over. `next_ms`: when there is something to do again, as far as it saw; `pause_ms`: not
  // before so long from now.
  void finish(int64_t next_ms, int64_t pause_ms);

  Engine& engine_;
  Database& database_;
  WatchHub& hub_;
  // A lower bound of the earliest time in the index, but for what the sweep under way has still before it.
  // Not known when the database is opened.
  std::atomic<int64_t> next_ms_{TM_MUTANT("expiry.deleted-after-restart") ? INT64_MAX : 0};
  std::atomic<int64_t> sweeping_ms_;  // where in time the sweep under way is
  std::string resume_;                // of the sweep under way: the index key that it came to
  std::atomic<uint64_t> deleted_{0};

  Mutex mutex_;
  CondVar idle_;
  bool running_ TM_GUARDED_BY(mutex_) = false;
  bool stopped_ TM_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const void> owner_ TM_GUARDED_BY(mutex_);  // while running
  int64_t not_before_ms_ TM_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidemark::kv
