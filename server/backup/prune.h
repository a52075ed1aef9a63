// What of a backup is too old to be kept.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/status.h"
#include "server/backup/index.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// Marks the generations that no moment from `oldest_ms` (since 1970) on needs: the newest complete one that
// was there by then stays, and all behind it. Whether something was marked. They must be marked in the
// backup before anything of them is removed, so that nobody reads what is half there.
bool mark_older(Index& index, int64_t oldest_ms);

struct RemovedSome {
  uint64_t objects = 0;
  bool all = false;  // none is left
};
// Removes some of the objects of a generation.
Result<RemovedSome> remove_some(ObjectStore& store, const std::string& generation_prefix);

struct Pruned {
  uint64_t generations = 0;
  uint64_t objects = 0;
};
// Marks and removes what is older, whoever writes the backup meanwhile. `prefix`: of the backup.
Result<Pruned> prune(ObjectStore& store, const std::string& prefix, int64_t oldest_ms);

}  // namespace tidemark::backup
