// One WAL file being written. Two roles use it, each on one thread at a time: the validator reserves space
// before it accepts a commit, so that a full disk is a definite refusal; the syncer starts, writes and syncs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/io/file_system.h"

namespace tidemark {

class WalWriter {
 public:
  // Creates the file and reserves its first space. Nothing is durable yet.
  static Result<std::unique_ptr<WalWriter>> create(FileSystem& fs, const std::string& dir,
                                                   const std::string& database_id, uint64_t number);

  uint64_t number() const { return number_; }

  // Validator: makes sure that there is room up to offset `end`. kNoSpace: there is not.
  Status reserve(uint64_t end);

  // Syncer, once, before the first append: writes the header and makes it and the folder entry durable.
  // Everything that counts of the predecessor (0: none) lies durably below `predecessor_end`.
  Status start(uint64_t predecessor_number, uint64_t predecessor_end);
  // Syncer: completes and writes one record; `record` has kRecordHeaderBytes of room, then a payload for
  // which space was reserved. Durable only after sync().
  Status append(std::string& record);
  Status sync();
  // Syncer: the offset behind the last record.
  uint64_t end() const { return end_.load(std::memory_order_relaxed); }
  // Gives back the space reserved beyond the end. Best effort.
  void trim();

 private:
  WalWriter(FileSystem& fs, std::string dir, std::string database_id, uint64_t number,
            std::unique_ptr<File> file);

  FileSystem& fs_;
  const std::string dir_;
  const std::string database_id_;
  const uint64_t number_;
  const uint64_t salt_;
  const std::unique_ptr<File> file_;

  // Validator's.
  uint64_t allocated_ = 0;

  // Syncer's; end_ may be read by anyone.
  std::atomic<uint64_t> end_;
  uint64_t promised_ = 0;
};

}  // namespace tidemark
