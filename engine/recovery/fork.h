// A new database that holds what another one held, without copying it.
#pragma once

#include <string>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/mvcc/version_set.h"

namespace tidemark {

// The epoch of a line of history that continues another one, which has come to `head`. kInvalidArgument if
// none is left.
Result<uint8_t> next_epoch(Versionstamp head);

// Makes the database in folder `path` (its parent must exist) from the files of another one, by hard links:
// everything up to `at`, which becomes its head, with the history from the horizon on. It has an id and an
// epoch of its own. The time it takes follows the number of files. A crash leaves a folder without CURRENT.
//
// REQUIRES: `at` is a commit or the horizon, is pinned, and in segments. Errors: kInvalidArgument if no epoch
// is left, kIo, kNoSpace, kCorruption.
Status fork_files(VersionSet& source, const CommitPoint& at, int64_t retention_clock_ms,
                  const std::string& path);

}  // namespace tidemark
