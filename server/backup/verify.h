// Whether a backup is whole: names, numbers and contents, from the first snapshot to the end of the log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/database.h"
#include "server/backup/source.h"

namespace tidemark::backup {

struct Verification {
  uint64_t generations = 0;
  uint64_t snapshot_objects = 0;
  uint64_t entries = 0;  // of snapshots
  uint64_t log_objects = 0;
  uint64_t commits = 0;
  uint64_t bytes = 0;
  CommitPoint end;                    // the last commit
  std::vector<std::string> problems;  // a sentence each; what they name cannot be restored
  std::vector<std::string> notes;     // what is as it should be, and worth knowing: where history has a gap
};

// Reads all of it. `progress` is told now and then; its error ends it. Errors: only those of reading: what is
// wrong with the backup are problems.
Result<Verification> verify_backup(Engine& engine, const Source& source,
                                   const std::function<Status(const Verification&)>& progress);

// Entries and a hash of each range of keys, so that two databases can be compared without moving either.
// Where a range ends is told by the keys alone: what differs in one range leaves the others as they are.
struct RangeHash {
  std::string first_key;  // of the engine
  uint64_t entries = 0;
  uint64_t hash = 0;

  bool operator==(const RangeHash&) const = default;
};
// Of the user's entries and messages at one moment, with their versionstamps.
Result<std::vector<RangeHash>> hash_ranges(const Database& database, const Snapshot& snapshot);

}  // namespace tidemark::backup
