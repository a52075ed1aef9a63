// Checks the files of one database, whatever state they are in. Reads them with the engine's codecs but opens
// nothing: nothing is written, and damage in one place does not keep the others from being looked at.
//
// The database must not be open anywhere; who calls has its lock, or a copy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/io/file_system.h"
#include "engine/verify/finding.h"

namespace tidemark::verify {

// One version as it stands in the database. Views are valid during the call.
struct VersionView {
  std::string_view key;
  Versionstamp stamp;
  bool tombstone = false;
  std::string_view value;
  bool newest = false;  // of its key, as far as could be read
  const std::string& file;
  uint64_t offset = 0;
};
using VersionSink = std::function<void(const VersionView&)>;

struct VerifyOptions {
  // Also looks up every key in its segment's filter, and holds segments and change files against each other.
  bool deep = false;
  // Called for every version that can be read: those in live segments and in the log in the order of keys, of
  // one key the newest first, before those in history. May be empty.
  VersionSink versions;
  FindingSink findings;
  ProgressSink progress;
  // Memory for holding segments and change files against each other; with less, files are read more often.
  uint64_t cross_check_bytes = uint64_t{256} << 20;
};

struct VerifySummary {
  std::string database_id;  // 16 bytes; empty if it could not be read
  Versionstamp head;
  Versionstamp horizon;
  uint64_t segments = 0;
  uint64_t live_versions = 0;  // in segments
  uint64_t history_versions = 0;
  uint64_t change_files = 0;
  uint64_t commits = 0;         // in change files
  uint64_t wal_commits = 0;     // that are not in segments yet
  uint64_t torn_wal_files = 0;  // whose last record was not written whole: no damage
  uint64_t bytes = 0;           // of all files that were read
  uint64_t findings = 0;
};

// Fails only where there is nothing to check: no database in `dir` (kNotFound), or it cannot be listed (kIo).
Result<VerifySummary> verify_database(FileSystem& fs, const std::string& dir, const VerifyOptions& options);

}  // namespace tidemark::verify
