// Writes the segments of an ingest: the newest version of each key to live ones, the others to history.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/compaction/output_files.h"
#include "engine/compaction/version_splitter.h"

namespace tidemark {

class IngestWriter {
 public:
  IngestWriter(VersionSet& versions, const DatabaseOptions& options);

  // kInvalidArgument unless keys ascend and stamps of one key descend.
  Status add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value);
  // Completes the files; they and their folder entries are durable afterwards.
  Result<std::vector<SegmentMeta>> finish();
  // The files belong to the database now; otherwise they are removed with this.
  void release();

 private:
  VersionSet& versions_;
  OutputFiles live_;
  OutputFiles history_;
  VersionSplitter splitter_;
  bool any_ = false;
  std::string last_key_;
  Versionstamp last_stamp_;
};

}  // namespace tidemark
