// One sorted source of entries: a memtable, a segment, or a merge of several.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"

namespace tidemark {

// Walks entries in the order of compare_entries (keys ascending, of one key the newest first). One thread at
// a time. Every move returns valid(); when it is false, status() tells the end from an error. Views stay
// valid until the next move.
class EntryIterator {
 public:
  virtual ~EntryIterator() = default;

  // To the first entry at or after (key, stamp).
  virtual bool seek(std::string_view key, Versionstamp stamp) = 0;
  // To the last entry whose key is below `key`; with an empty key: to the last entry of all.
  virtual bool seek_before(std::string_view key) = 0;
  // REQUIRES: valid().
  virtual bool next() = 0;
  virtual bool prev() = 0;

  // Tells the source that its reader had to pass over this many entries here that it could not give out.
  virtual void note_skipped(uint64_t) const {}

  // No key stands twice in this source.
  bool one_version_per_key() const { return one_version_per_key_; }

  bool valid() const { return valid_; }
  const Status& status() const { return status_; }

  // REQUIRES: valid().
  std::string_view key() const { return key_; }
  Versionstamp stamp() const { return stamp_; }
  bool tombstone() const { return tombstone_; }
  std::string_view value() const { return value_; }
  // An upper bound of what superseded this version; Versionstamp::max() if nothing is known to have.
  Versionstamp superseded() const { return superseded_; }

 protected:
  bool end() { return valid_ = false; }
  bool error(Error e) {
    status_ = std::unexpected<Error>(std::move(e));
    return valid_ = false;
  }

  std::string_view key_;
  std::string_view value_;
  Versionstamp stamp_;
  Versionstamp superseded_ = Versionstamp::max();
  bool tombstone_ = false;
  bool valid_ = false;
  bool one_version_per_key_ = false;
  Status status_;
};

}  // namespace tidemark
