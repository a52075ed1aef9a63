// Makes a new store of all that can be saved of a damaged one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/io/file_system.h"
#include "engine/verify/salvage.h"

namespace tidemark::tools {

struct RepairedDatabase {
  std::string name;     // "catalog" for the catalog; empty for the folder of a single database
  std::string dir;      // of the new one; empty if nothing of it could be saved
  std::string problem;  // why not; or what else had to be changed: one sentence, or empty
  verify::SalvageSummary summary;

  bool lost_something() const;
};

struct RepairSummary {
  std::vector<RepairedDatabase> databases;  // the catalog first
  // Major findings on the new store that were brought along: entries that make no sense as such, and versions
  // and change files that do not agree. The store can be used; what stands there is as it was.
  uint64_t left_wrong = 0;
  bool lost_something() const;  // or something is left wrong
};

struct RepairOptions {
  verify::FindingSink findings;  // on the old store; then those on the new one
  verify::ProgressSink progress;
};

// `to` must not exist, or be an empty folder, and not lie within `from`. The new store was opened once and
// checked when this returns. Errors: kInvalidArgument (`to` will not do), kNotFound (no store in `from`),
// kLocked, kNewerFormat, kCorruption (the new store is not sound either), and what writing meets.
Result<RepairSummary> repair_store(FileSystem& fs, const std::string& from, const std::string& to,
                                   const RepairOptions& options);

// repair-report.json within a new store; beside the folder of a single database.
std::string repair_report_path(const std::string& to, bool single_database);

}  // namespace tidemark::tools
