// Walks one part of a database's keyspace at one moment, however long that takes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/database.h"

namespace tidemark::tools {

// One thread. Neither the database nor the snapshot may end before it.
class KeyspaceScan {
 public:
  // `prefix`: server/kv/keyspace.h.
  KeyspaceScan(Database& database, const Snapshot& snapshot, char prefix)
      : database_(database), snapshot_(snapshot), next_(1, prefix), end_(1, static_cast<char>(prefix + 1)) {}

  // Moves to the first, later to the next entry. False at the end.
  Result<bool> next() {
    // A cursor keeps files from being removed, so none is kept for long.
    if (cursor_ == nullptr || ++walked_ % kEntriesPerCursor == 0) {
      if (cursor_ != nullptr) next_ = std::string(cursor_->key()) + '\0';
      cursor_.reset();
      cursor_ = database_.read(snapshot_)->scan({.start = next_, .end = end_});
    }
    return cursor_->next();
  }
  // REQUIRES: the last next() gave true. Valid until the next one.
  std::string_view key() const { return cursor_->key(); }
  std::string_view value() const { return cursor_->value(); }
  Versionstamp versionstamp() const { return cursor_->versionstamp(); }

 private:
  static constexpr uint64_t kEntriesPerCursor = 16'384;

  Database& database_;
  const Snapshot& snapshot_;
  std::string next_;
  const std::string end_;
  uint64_t walked_ = 0;
  std::unique_ptr<Cursor> cursor_;
};

}  // namespace tidemark::tools
