// Objects read one after the other, the next ones on their way meanwhile.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/io/executor.h"
#include "engine/io/sync.h"
#include "server/backup/kept_objects.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// One thread.
class ObjectFetch {
 public:
  // A list's size may be of before an object was written to once more.
  static constexpr uint64_t kSlackBytes = 4096;
  static constexpr uint64_t kAheadBytes = uint64_t{64} << 20;
  static constexpr size_t kAheadObjects = 16;

  // Reads these, in this order; `objects` as a list gave them. What was kept is not read again, and what is
  // read is kept while the store is what is waited for: where it is faster than the reader, keeping would
  // make that slower still.
  ObjectFetch(Executor& executor, ObjectStore& store, std::vector<ObjectInfo> objects, KeptObjects kept = {});
  // Waits for what is under way.
  ~ObjectFetch();

  struct Fetched {
    ObjectInfo info;
    std::string bytes;
  };
  // Nothing at the end.
  Result<std::optional<Fetched>> next();

 private:
  struct Slot {
    size_t index;
    bool done = false;
    Result<std::string> bytes = std::string();
  };

  void start() TM_REQUIRES(mutex_);
  Result<std::string> read(const ObjectInfo& object);
  bool reader_waits();

  Executor& executor_;
  ObjectStore& store_;
  const std::vector<ObjectInfo> objects_;
  const KeptObjects kept_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Slot> slots_ TM_GUARDED_BY(mutex_);  // asked for and not given out, in order; they do not move
  size_t begun_ TM_GUARDED_BY(mutex_) = 0;
  uint64_t ahead_bytes_ TM_GUARDED_BY(mutex_) = 0;
  bool waiting_ TM_GUARDED_BY(mutex_) = false;  // next() does, for the store
  size_t running_ TM_GUARDED_BY(mutex_) = 0;
  bool stopping_ TM_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark::backup
