// The ranges of a snapshot of ours made into segments, several at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/backup/kept_objects.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// Nothing of what it is given may end before it. One thread.
class SnapshotLoad {
 public:
  static constexpr uint64_t kStretchBytes = uint64_t{64} << 20;  // makes about one segment

  struct Options {
    bool indexed = false;  // the objects are named by an index of ours
    uint64_t stretch_bytes = kStretchBytes;
    // What was kept is not read again, and what is read is kept if the store is slow.
    KeptObjects kept;
    // Called by next(), with what has been read so far.
    std::function<void(uint64_t objects, uint64_t bytes)> progress;
  };
  // `ranges` as a list gave them, in order.
  SnapshotLoad(Engine& engine, Database& database, ObjectStore& store, std::vector<ObjectInfo> ranges,
               Options options);
  // Waits for what is under way.
  ~SnapshotLoad();

  // An ingest that starts history, of the ranges behind those given before; waits for it. Null at the end.
  // Null and no version(), though there are ranges: the snapshot is of another kind.
  Result<std::unique_ptr<Ingest>> next();
  // Of what next() gave.
  std::optional<CommitPoint> version();

 private:
  // Consecutive ranges, done by one thread from reading to writing: so nobody waits for anybody, and what is
  // read is soon used up.
  struct Stretch {
    size_t begin, end;
    uint64_t bytes = 0;  // at a time
    bool done = false;
    std::unique_ptr<Ingest> ingest = nullptr;
  };

  void start() TM_REQUIRES(mutex_);
  bool has_to_wait() const TM_REQUIRES(mutex_);
  Status load(const Stretch& stretch, Ingest& ingest);
  Result<std::string> fetch(const ObjectInfo& range);
  Status add_entries(const ObjectInfo& range, std::string_view bytes, Ingest& ingest);
  bool stopping();

  Engine& engine_;
  Database& database_;
  ObjectStore& store_;
  const std::vector<ObjectInfo> ranges_;
  const Options options_;
  uint64_t reported_ = 0;  // objects

  Mutex mutex_;
  CondVar changed_;
  std::vector<Stretch> stretches_ TM_GUARDED_BY(mutex_);
  size_t begun_ TM_GUARDED_BY(mutex_) = 0;
  size_t given_ TM_GUARDED_BY(mutex_) = 0;
  size_t running_ TM_GUARDED_BY(mutex_) = 0;
  int64_t waited_us_ TM_GUARDED_BY(mutex_) = 0;     // for the store, all of them together
  int64_t worked_us_ TM_GUARDED_BY(mutex_) = 0;     // with what it gave
  uint64_t bytes_ahead_ TM_GUARDED_BY(mutex_) = 0;  // of those running
  uint64_t objects_ TM_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_ TM_GUARDED_BY(mutex_) = 0;
  std::optional<CommitPoint> version_ TM_GUARDED_BY(mutex_);
  bool other_kind_ TM_GUARDED_BY(mutex_) = false;
  bool stopping_ TM_GUARDED_BY(mutex_) = false;
  Status status_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::backup
