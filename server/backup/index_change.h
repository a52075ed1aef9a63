// Changing the index of a backup from outside of the run that writes it: pruning, promotion.
#pragma once

#include <functional>
#include <string>

#include "engine/base/status.h"
#include "server/backup/index.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

struct TaggedIndex {
  Index index;
  std::string tag;  // of the object that holds it
};

// Changes the index as `change` says, which gives false if there is nothing to change, and is asked again
// when somebody else was faster. kUnavailable if that goes on. `prefix`: of the backup.
Result<TaggedIndex> change_index(ObjectStore& store, const std::string& prefix,
                                 const std::function<bool(Index&)>& change);

}  // namespace tidemark::backup
