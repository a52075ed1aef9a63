// Reading a log file (a WAL file or a manifest) back, and telling a torn tail from damage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/format/log_record.h"
#include "engine/io/file_system.h"

namespace tidemark {

// A log file's bytes in memory, with its intact records in order.
class LogFileReader {
 public:
  // Reads the whole file and its header. kCorruption (naming the file) if the header is damaged or is another
  // database's or another file's.
  static Result<LogFileReader> open(FileSystem& fs, const std::string& path, LogKind kind,
                                    const std::string& database_id, uint64_t number);

  const LogHeader& header() const { return header_; }
  const std::string& path() const { return path_; }

  // The next record that counts, or nothing at the end of the log. `limit`: where the successor's header says
  // that this file ended; nothing at or above it counts. Gives kCorruption, naming file and offset, where
  // bytes that are known to have been durable are not intact: below the limit, or below any promise found in
  // the file.
  Result<std::optional<RecordView>> next(std::optional<uint64_t> limit);
  // The offset behind the last record given.
  uint64_t offset() const { return offset_; }
  // The largest promise of the records given so far; at least the header's size.
  uint64_t promised() const { return promised_; }

 private:
  std::string path_;
  std::string bytes_;
  LogHeader header_;
  uint64_t salt_ = 0;
  uint64_t offset_ = kLogHeaderBytes;
  uint64_t promised_ = kLogHeaderBytes;
};

}  // namespace tidemark
