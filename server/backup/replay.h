// Commits of a log, repeated in a database.
#pragma once

#include <vector>

#include "engine/base/status.h"
#include "engine/database.h"
#include "server/backup/log_object.h"

namespace tidemark::backup {

// Repeats them in their order, and returns when they are durable, or have failed. After an error the database
// has some of them, without a gap. REQUIRES: the first follows the database's head, and nothing else is
// committed meanwhile.
Status replay(Database& database, const std::vector<ReplayCommit>& commits);

}  // namespace tidemark::backup
