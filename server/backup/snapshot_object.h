// A part of a snapshot as an object holds it, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/backup/backup.pb.h"

namespace tidemark::backup {

namespace pb = com::deno::kv::backup;

// Takes entries in the order of the engine's keys. One thread.
class SnapshotRangeWriter {
 public:
  // Of the snapshot at `version`.
  explicit SnapshotRangeWriter(const CommitPoint& version);
  // kCorruption if it is no entry.
  Status add(std::string_view key, Versionstamp stamp, std::string_view value);
  // So far.
  size_t bytes() const { return range_.size() + metadata_.size() + other_bytes_; }
  // The writer is spent.
  std::string finish();

 private:
  std::string range_;     // of the message
  std::string metadata_;  // of the second list, which comes behind the first
  pb::BackupKvPair pair_;
  pb::TidemarkSnapshotRange ours_;
  size_t other_bytes_ = 0;
};

struct SnapshotEntry {
  std::string key;  // of the engine
  Versionstamp stamp;
  std::string value;
};

struct SnapshotRange {
  // Ours: one version of everything, all that belongs to it, in the order of keys. Nothing: entries of the
  // user only, and their index by expiry, in any order.
  std::optional<CommitPoint> version;
  std::vector<SnapshotEntry> entries;
};

// `ours`: it is one that this program writes. kCorruption, also if only a part of it is there; `name` is for
// its message.
Result<SnapshotRange> parse_snapshot_range(std::string_view name, std::string_view bytes, bool ours);

}  // namespace tidemark::backup
