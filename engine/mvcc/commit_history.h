// The commits of a database in their order: those that change files name, and those still in memtables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/changes/change_file.h"
#include "engine/history.h"
#include "engine/mvcc/version_set.h"

namespace tidemark {

class CommitRange;

// As things stood when it was made; cheap to make, for one piece of work. One thread.
class CommitHistory {
 public:
  // `head`: read before; only commits at or below are given. Commits below the horizon may be missing.
  CommitHistory(VersionSet& versions, Versionstamp head);

  // The last commit at or below both; the beginning if there is none.
  Result<CommitPoint> floor(Versionstamp stamp, int64_t timestamp_ms) const;
  // Commits above `from` up to `to`, the oldest first.
  Status visit(Versionstamp from, Versionstamp to, HistoryVisitor& visitor) const;
  // The same, with what they wrote. REQUIRES: `from` is pinned.
  Status visit_writes(Versionstamp from, Versionstamp to, WriteVisitor& visitor) const;
  // The same, the newest first, without their writes, until `visit` gives false.
  Status visit_newest_first(Versionstamp from, Versionstamp to,
                            const std::function<bool(const CommitPoint&, uint32_t writes)>& visit) const;

 private:
  // Null if the file has been let go meanwhile: then the horizon has passed it.
  Result<std::unique_ptr<ChangeFileReader>> open(const ChangeFileMeta& file) const;
  Status walk(Versionstamp from, Versionstamp to, CommitRange& range) const;

  VersionSet& versions_;
  const Versionstamp head_;
  std::vector<std::shared_ptr<const Memtable>> memtables_;  // the oldest first
  std::vector<ChangeFileMeta> files_;                       // in order
  Versionstamp flushed_;                                    // commits up to here are in files
};

}  // namespace tidemark
