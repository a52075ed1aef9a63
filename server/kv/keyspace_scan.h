// Walks many keys of a database at one moment, however long that takes. Leaves the block cache to others.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/status.h"
#include "engine/database.h"
#include "server/kv/keyspace.h"

namespace tidemark::kv {

// One thread. Neither the database nor the snapshot may end before it.
class KeyspaceScan {
 public:
  KeyspaceScan(const Database& database, const Snapshot& snapshot, KeyRange range)
      : database_(database), snapshot_(snapshot), left_(std::move(range)) {}

  // Moves to the first, later to the next entry. False at the end.
  Result<bool> next() {
    // A cursor keeps files from being removed, so none is kept for long.
    if (cursor_ == nullptr || ++walked_ % kEntriesPerCursor == 0) {
      if (cursor_ != nullptr) left_.start = std::string(cursor_->key()) + '\0';
      cursor_.reset();
      cursor_ =
          database_.read(snapshot_)->scan({.start = left_.start, .end = left_.end}, {.once_through = true});
    }
    return cursor_->next();
  }
  // REQUIRES: the last next() gave true. Valid until the next one.
  std::string_view key() const { return cursor_->key(); }
  std::string_view value() const { return cursor_->value(); }
  Versionstamp versionstamp() const { return cursor_->versionstamp(); }

 private:
  static constexpr uint64_t kEntriesPerCursor = 16'384;

  const Database& database_;
  const Snapshot& snapshot_;
  KeyRange left_;
  uint64_t walked_ = 0;
  std::unique_ptr<Cursor> cursor_;
};

}  // namespace tidemark::kv
