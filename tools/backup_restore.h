// A new store out of a backup.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/database.h"
#include "server/backup/follower.h"
#include "server/backup/object_store.h"
#include "server/kv/moment.h"

namespace tidemark::tools {

struct RestoreRequest {
  std::string to;      // the store's folder: missing or empty
  std::string prefix;  // of the backup, within the object store
  std::string source;  // what the backup is called, so that only the same restore is gone on with
  std::string database = "default";
  std::optional<kv::MomentName> at;  // nothing: all that there is
  bool leave_following = false;      // it is not made a database of its own: nothing is written to it
};

struct Restored {
  CommitPoint at;        // what it holds
  CommitPoint horizon;   // how far back it can be looked at
  uint64_t commits = 0;  // taken from the log
  uint64_t bytes = 0;    // read
  bool resumed = false;
  std::string torn_end;  // why the last object of the log could not be taken; empty: it was
  bool reached = true;   // whether the log goes as far as the moment asked for
};

// Makes the store in "<to>.partial", and gives it its name when all is there; called again after it was
// interrupted, it goes on. kInvalidArgument if the folder holds something, others as Follower.
Result<Restored> restore_backup(Engine& engine, backup::ObjectStore& store, const RestoreRequest& request,
                                const std::function<void(const backup::FollowProgress&)>& progress);

}  // namespace tidemark::tools
