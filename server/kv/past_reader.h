// Single keys at a moment of the past, over a long time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/base/status.h"
#include "engine/database.h"

namespace tidemark::kv {

// Keeps the moment pinned, and files of the database only for a while each. One thread; not longer than the
// database.
class PastReader {
 public:
  // kBeyondHorizon if it cannot be pinned.
  static Result<std::unique_ptr<PastReader>> open(Database& database, Versionstamp at) {
    TM_ASSIGN(auto snapshot, database.pin(at));
    return std::unique_ptr<PastReader>(new PastReader(database, std::move(snapshot)));
  }

  const Snapshot& snapshot() const { return *snapshot_; }
  // The value stored under a key of the engine.
  Result<std::optional<PinnedValue>> get(std::string_view engine_key) {
    if (view_ == nullptr || ++reads_ % kReadsOfOneView == 0) view_ = database_.read(*snapshot_);
    return view_->get(engine_key);
  }

 private:
  static constexpr uint64_t kReadsOfOneView = 4096;

  PastReader(Database& database, std::shared_ptr<Snapshot> snapshot)
      : database_(database), snapshot_(std::move(snapshot)) {}

  Database& database_;
  const std::shared_ptr<Snapshot> snapshot_;
  std::unique_ptr<ReadView> view_;
  uint64_t reads_ = 0;
};

}  // namespace tidemark::kv
