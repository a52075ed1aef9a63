// Writes a new database with all that can be saved of a damaged one. Nothing is written to the old one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/io/file_system.h"
#include "engine/verify/finding.h"
#include "engine/verify/segment_scan.h"

namespace tidemark::verify {

// A write that is named in a change file and whose version could not be read.
struct LostWrite {
  std::string key;
  Versionstamp stamp;
};

struct SalvageSummary {
  Versionstamp head;
  Versionstamp horizon;
  uint64_t live_versions = 0;  // of the new database
  uint64_t history_versions = 0;
  uint64_t commits = 0;   // listed in its change files
  uint64_t findings = 0;  // on the old one
  // The manifest has lost records, or all: the horizon is what is left of it says, or a guess, and may be too
  // early: history may be incomplete behind it. A key that was deleted before it may be back.
  bool horizon_guessed = false;
  bool log_whole = true;               // nothing of the log was lost
  bool changes_whole = true;           // nothing of the change files was lost
  uint64_t lost_writes = 0;            // known by name; there may be others in the ranges below
  std::vector<LostWrite> lost_listed;  // the first kMaxListedLosses of them
  struct Range {
    std::string file;
    LostRange keys;
  };
  std::vector<Range> lost_ranges;  // of keys, of which versions that stood in this file are lost
};
inline constexpr size_t kMaxListedLosses = 1000;

struct SalvageOptions {
  FindingSink findings;  // on the old database
  ProgressSink progress;
  uint64_t cross_check_bytes = uint64_t{256} << 20;
};

// Copies every version that can be read, with its versionstamp and the moments at which it is seen, and every
// commit that change files and log name, into a new database in `to_dir`, an empty folder. Where a write is
// known to be lost, the key is absent from that moment on, rather than an older value being seen again: the
// older one can be read at moments before. The new database has an id of its own. It is closed, and complete
// when this returns.
//
// Errors: kNotFound (no database in `from_dir`), kNewerFormat, and what writing the new one meets.
Result<SalvageSummary> salvage_database(FileSystem& fs, const std::string& from_dir,
                                        const std::string& to_dir, const SalvageOptions& options);

}  // namespace tidemark::verify
