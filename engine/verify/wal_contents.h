// The write-ahead log read as far as damage allows: its chain of files is checked, and what it holds beyond
// the segments is kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/versionstamp.h"
#include "engine/format/manifest_edit.h"
#include "engine/verify/database_files.h"
#include "engine/verify/reporter.h"
#include "engine/verify/version_source.h"

namespace tidemark::verify {

struct WalVersion {
  std::string key;
  std::string value;
  Versionstamp stamp;
  bool tombstone = false;
};

struct WalCommit {
  Versionstamp stamp;
  int64_t timestamp_ms = 0;
  size_t first_version = 0;  // its writes, up to the next commit's
  uint64_t file_number = 0;  // where its record stands
  uint64_t offset = 0;
};

struct WalContents {
  // Of commits that are not in segments, in their order.
  std::vector<WalVersion> versions;
  std::vector<WalCommit> commits;
  // Head, as far as the log is intact.
  Versionstamp head;
  int64_t head_timestamp_ms = 0;
  bool whole = true;        // nothing that counts is missing or damaged
  uint64_t torn_files = 0;  // that end in a torn tail

  size_t end_of(size_t commit) const {
    return commit + 1 < commits.size() ? commits[commit + 1].first_version : versions.size();
  }
};

// Reports what is wrong with the log. Published segments of which the manifest does not know are added to
// `files.state`.
WalContents read_wal(FileSystem& fs, DatabaseFiles& files, Reporter& reporter);

// The versions in the order of entries. Both must outlive it.
class WalSource final : public VersionSource {
 public:
  WalSource(const DatabaseFiles& files, const WalContents& contents);
  bool next() override;

 private:
  const DatabaseFiles& files_;
  const WalContents& contents_;
  uint64_t file_number_ = 0;
  std::vector<uint32_t> order_;
  size_t at_ = 0;
};

}  // namespace tidemark::verify
