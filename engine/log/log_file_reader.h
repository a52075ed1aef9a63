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

// A log file's intact records in order. Its header is read when it is opened; the rest, as a whole, for the
// first record, and kept in memory until the reader goes.
class LogFileReader {
 public:
  // Reads the header. kCorruption (naming the file) if it is damaged or is another database's or another
  // file's. `fs` must outlive the reader.
  static Result<LogFileReader> open(FileSystem& fs, const std::string& path, LogKind kind,
                                    const std::string& database_id, uint64_t number);

  const LogHeader& header() const { return header_; }
  const std::string& path() const { return path_; }

  // The next record that counts, or nothing at the end of the log. `limit`: where the successor's header says
  // that this file ended; nothing at or above it counts. Gives kCorruption, naming file and offset, where
  // bytes that are known to have been durable are not intact: below the limit, or below any promise found in
  // the file. The payload's bytes live as long as the reader.
  Result<std::optional<RecordView>> next(std::optional<uint64_t> limit);
  // The offset behind the last record given.
  uint64_t offset() const { return offset_; }
  // The largest promise of the records given so far; at least the header's size.
  uint64_t promised() const { return promised_; }

 private:
  FileSystem* fs_ = nullptr;
  std::string path_;
  std::optional<std::string> bytes_;  // of the whole file, once a record was asked for
  LogHeader header_;
  uint64_t salt_ = 0;
  uint64_t offset_ = kLogHeaderBytes;
  uint64_t promised_ = kLogHeaderBytes;
};

}  // namespace tidemark
