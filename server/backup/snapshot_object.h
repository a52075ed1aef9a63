// A part of a snapshot as an object holds it, and back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/backup/backup.pb.h"

namespace tidemark::backup {

namespace pb = com::deno::kv::backup;

// Takes entries in the order of the engine's keys. One thread.
class SnapshotRangeWriter {
 public:
  // Of the snapshot at `version`; it will have about so many bytes.
  SnapshotRangeWriter(const CommitPoint& version, size_t bytes);
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

// Gives the entries of an object. One thread.
class SnapshotRangeReader {
 public:
  // `ours`: it is one that this program writes. kCorruption, also if only a part of it is there; `name` is
  // for messages. `bytes` must not end before the reader.
  static Result<std::unique_ptr<SnapshotRangeReader>> open(std::string name, std::string_view bytes,
                                                           bool ours);
  ~SnapshotRangeReader();

  // Ours: one version of everything, all that belongs to it, in the order of keys. Nothing: entries of the
  // user only, and their index by expiry, in any order.
  const std::optional<CommitPoint>& version() const { return version_; }

  // Moves on to the next entry, the first one at first; false: there is none. kCorruption.
  Result<bool> next();
  // The entry, as it stands in the engine; valid until next().
  std::string_view key() const { return at_expiry_ ? expiry_key_ : key_; }
  Versionstamp stamp() const { return stamp_; }
  std::string_view value() const { return at_expiry_ ? std::string_view() : value_; }

 private:
  class Fields;  // of the message, one after the other
  SnapshotRangeReader(std::string name, std::string_view bytes);
  std::unexpected<Error> damaged(const Error& error) const;
  Status look_over(bool ours);
  Status read_other(pb::TidemarkEntry& other);
  Status read_pair();

  const std::string name_;
  const std::string_view bytes_;
  std::optional<CommitPoint> version_;
  pb::TidemarkSnapshotRange ours_;
  int other_ = 0;       // the next one of ours_
  uint64_t pairs_ = 0;  // not yet read
  std::unique_ptr<Fields> data_, metadata_;
  pb::BackupKvPair data_pair_, metadata_pair_;
  bool at_expiry_ = false;  // at the entry in the index by expiry; the other one follows
  std::string key_, value_, expiry_key_;
  Versionstamp stamp_;
};

}  // namespace tidemark::backup
