// A database that follows a backup while it is being served, read-only; and its end, when it becomes a
// primary.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/log.h"
#include "engine/io/sync.h"
#include "server/backup/follower.h"
#include "server/backup/object_store.h"
#include "server/backup/target.h"
#include "server/host/host.h"

namespace tidemark::tools {

struct ReplicaOptions {
  backup::Target target;
  int64_t interval_us = 1'000'000;  // between two looks at the backup
  LogSink log;
};

struct ReplicaStatus {
  std::string source;      // the backup, for people
  std::string generation;  // id; empty of a backup that is none of ours
  std::string message;     // why it does not get on; empty: it does
  CommitPoint head;
  int64_t checked_ms = 0;  // when the database had all that was in the backup; since 1970
  uint64_t commits = 0;    // taken from the log since the start
};

struct Promotion {
  CommitPoint head;        // the last commit that was taken over
  std::string generation;  // the new one
  uint8_t epoch = 0;
};

// Any thread, but for start().
class Replica {
 public:
  // Brings the store's database `default` to where the backup is; a new store's becomes what is in the
  // backup, under its id. Waits for a snapshot that is still being written. Blocks, for long; `cancelled` is
  // asked now and then. kConflict if the database is none that came from there, or holds something of its
  // own. REQUIRES: the host is read-only.
  static Result<std::unique_ptr<Replica>> start(host::Host& host, std::shared_ptr<backup::ObjectStore> store,
                                                ReplicaOptions options,
                                                const std::function<bool()>& cancelled);
  ~Replica();

  // To be called several times a second: begins to follow further when that is due. Does not block.
  void poll();
  ReplicaStatus status() const;
  // Until it is promoted.
  bool follows() const { return host_.read_only(); }
  // Follows now, and waits for it.
  Status sync_now();
  // Ends what is under way. Nothing follows afterwards.
  void stop();

  // Makes the database one that is written to: claims the backup, takes what is still in it, and begins a new
  // generation there. From then on the primary before it can no longer ship, and when it notices takes no
  // more writes. The host becomes writable. kConflict: the backup is none of ours, or has gone another way.
  Result<Promotion> promote();

 private:
  Replica(host::Host& host, std::shared_ptr<backup::ObjectStore> store, ReplicaOptions options);

  Status find_database();
  Status attach(host::DatabaseRef database);
  Status begin(const std::function<bool()>& cancelled);
  void run();
  Status pull();
  // The backup has gone another way: a new database is filled, then takes this one's place.
  Status start_over();
  Result<backup::Target> target_above() const;
  void note(const Status& outcome);
  void say(LogLevel level, const std::string& line) const;
  int64_t now_ms() const { return host_.engine().clock().wall_us() / 1000; }

  host::Host& host_;
  const std::shared_ptr<backup::ObjectStore> store_;
  const ReplicaOptions options_;
  std::string scratch_folder_;

  // Of whoever follows: start(), run() or promote().
  host::DatabaseRef database_;
  std::unique_ptr<backup::Follower> follower_;
  bool begun_ = false;
  int64_t pause_us_ = 0;

  std::atomic<int64_t> due_us_{0};  // monotonic
  mutable Mutex mutex_;
  CondVar changed_;
  bool running_ TM_GUARDED_BY(mutex_) = false;
  bool stopped_ TM_GUARDED_BY(mutex_) = false;
  ReplicaStatus status_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::tools
