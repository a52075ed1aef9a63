// A log file (a WAL file or a manifest) read as far as damage allows: what is intact, and where it is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/format/log_record.h"
#include "engine/io/file_system.h"

namespace tidemark::verify {

struct LogPiece {
  uint64_t offset = 0;
  uint64_t end = 0;
  std::optional<RecordView> record;  // nothing: damage from offset to end
};

class LogScan {
 public:
  // Reads the whole file. `database_id`: what the records' checksums are taken to depend on if the header is
  // damaged; empty: not known, then nothing can be read behind a damaged header.
  static Result<LogScan> read(FileSystem& fs, const std::string& path, LogKind kind,
                              std::string_view database_id, uint64_t number);

  // The header, or what is wrong with it; kCorruption also for one that is another database's or file's.
  const Result<LogHeader>& header() const { return header_; }
  uint64_t bytes() const { return bytes_.size(); }

  // The next record that counts or piece of damage, or nothing at the end. `limit` as LogFileReader has it.
  // The payload's bytes live as long as the scan.
  std::optional<LogPiece> next(std::optional<uint64_t> limit);
  // After the end: whether something that is no intact record stands there, as a torn write leaves it.
  bool torn() const;
  // The largest promise of all intact record headers met so far; at least the header's size.
  uint64_t promised() const { return promised_; }

 private:
  std::string bytes_;
  Result<LogHeader> header_;
  bool readable_ = true;
  uint64_t salt_ = 0;
  uint64_t offset_ = kLogHeaderBytes;
  uint64_t promised_ = kLogHeaderBytes;
  bool looked_behind_ = false;
};

}  // namespace tidemark::verify
