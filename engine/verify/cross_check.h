// Holds segments and change files against each other: the files of one say what there must be in those of the
// other.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/versionstamp.h"
#include "engine/io/file_system.h"
#include "engine/verify/database_files.h"
#include "engine/verify/reporter.h"
#include "engine/verify/wal_contents.h"

namespace tidemark::verify {

// The commits of a change file that was read whole.
struct ListedRange {
  Versionstamp first;
  Versionstamp last;
};

// Reads all files again, more than once if `memory_bytes` is little, and reports what does not agree.
// Versions in ranges other than `listed` need not be listed: they may have been published as segments.
void cross_check(FileSystem& fs, const DatabaseFiles& files, const std::vector<ListedRange>& listed,
                 uint64_t memory_bytes, Reporter& reporter);

// Writes that change files name and that stand in no segment though something of their key that they hide is
// there, or though they were no deletions. What the log holds counts as there. By hash of the key (key_hash).
using LostWrites = std::unordered_map<uint64_t, std::vector<Versionstamp>>;
uint64_t key_hash(std::string_view key);
// Nothing is reported.
LostWrites find_lost_writes(FileSystem& fs, const DatabaseFiles& files, const WalContents& log,
                            uint64_t memory_bytes, Reporter& reporter);

}  // namespace tidemark::verify
