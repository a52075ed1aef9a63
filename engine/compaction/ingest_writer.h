// Writes the segments of an ingest: the newest version of each key to live ones, the others to history.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/compaction/ingest_changes.h"
#include "engine/compaction/output_files.h"
#include "engine/compaction/version_splitter.h"
#include "engine/format/wal_payload.h"

namespace tidemark {

class IngestWriter {
 public:
  // `starts_history`: the horizon moves to the last stamp, and the change file names only what has that.
  IngestWriter(VersionSet& versions, const DatabaseOptions& options, bool starts_history);
  // Removes what it wrote, unless release() was called.
  ~IngestWriter();

  // kInvalidArgument unless keys of a part ascend and stamps of one key descend; in a part behind the first,
  // unless each key has one version, none older than any of the parts before.
  Status add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value);
  Status begin_part();
  // Completes the files of what was added so far, durably.
  Status seal();
  // Takes over all that `behind` holds, which begins behind the last key of this one: kInvalidArgument
  // otherwise. Both have one part. REQUIRES: the other was made with the same arguments.
  Status append(IngestWriter& behind);
  // Completes the files; they and their folder entries are durable afterwards. kInvalidArgument if there is
  // nothing, or a stamp above `last`.
  Result<WalIngest> finish(const CommitPoint& last);
  // The files belong to the database now.
  void release();

 private:
  // One after the other in time, each sorted by key.
  struct Part {
    Part(VersionSet& versions, const DatabaseOptions& options);
    OutputFiles live;
    OutputFiles history;
    VersionSplitter splitter;
    std::string first_key;
    std::string last_key;
    Versionstamp last_stamp;
    bool any = false;
  };

  // The largest stamp is this one now, unless it is larger already; whether the change file names what has
  // it.
  bool rise_to(Versionstamp stamp);

  VersionSet& versions_;
  const DatabaseOptions options_;
  const bool starts_history_;
  std::vector<std::unique_ptr<Part>> parts_;
  IngestChanges changes_;
  std::string changes_path_;
  Versionstamp largest_;
  Versionstamp least_;  // that the part under way may hold
  bool any_entries_ = false;
};

}  // namespace tidemark
