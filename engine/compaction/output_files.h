// Segments being written by a flush or a merge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/mvcc/version_set.h"
#include "engine/options.h"
#include "engine/segment/segment_writer.h"

namespace tidemark {

// Writes entries in order into as many segments as their size asks for, ending each between two keys. Removes
// what it wrote unless release() is called.
class OutputFiles {
 public:
  // `target_bytes`: 0 for a single file whatever its size.
  OutputFiles(VersionSet& versions, const DatabaseOptions& options, SegmentKind kind, uint64_t target_bytes);
  ~OutputFiles();

  Status add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
             std::string_view value);
  // Completes the last file. The bytes of all are durable afterwards; the folder is not synced.
  Status finish();
  // Takes over the files of another one. REQUIRES: finish() was called for both.
  void append(OutputFiles& behind);
  const std::vector<SegmentMeta>& files() const { return files_; }
  // The files belong to the database now.
  void release() { created_.clear(); }

 private:
  Status finish_file();

  VersionSet& versions_;
  const DatabaseOptions& options_;
  const SegmentKind kind_;
  const uint64_t target_bytes_;
  std::unique_ptr<SegmentWriter> writer_;
  std::string last_key_;
  std::vector<SegmentMeta> files_;
  std::vector<std::string> created_;  // paths
};

}  // namespace tidemark
