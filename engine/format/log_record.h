// The framing that WAL files and manifests share: a file header, then checksummed records, each carrying the
// offset known to be synced when it was written. Byte by byte: docs/formats/log.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark {

enum class LogKind : uint8_t { kWal = 1, kManifest = 2 };  // stored; do not change

inline constexpr uint32_t kLogFormatVersion = 1;
inline constexpr size_t kLogHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 32;
inline constexpr size_t kRecordAlignment = 8;
// A longer payload is never written, and never believed when read.
inline constexpr uint32_t kMaxRecordPayloadBytes = uint32_t{1} << 30;

struct LogHeader {
  LogKind kind = LogKind::kWal;
  std::string database_id;  // 16 bytes
  uint64_t file_number = 0;
  uint64_t predecessor_number = 0;  // 0: none
  uint64_t predecessor_end = 0;     // all that counts of the predecessor lies below this offset, durably
};

std::string encode_log_header(const LogHeader& header);
// `bytes`: the first kLogHeaderBytes of the file. kCorruption (no file name in the message) or kNewerFormat.
Result<LogHeader> decode_log_header(std::string_view bytes, LogKind kind);

// Makes the checksums of one file's records meaningless in any other file, so stale bytes never pass.
uint64_t log_salt(LogKind kind, std::string_view database_id, uint64_t file_number);

// Bytes that a record of this payload takes, padding included.
inline constexpr uint64_t record_bytes(uint64_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

// Completes a record in place: `record` holds kRecordHeaderBytes of room, then the payload; the header is
// filled in and padding appended. `offset`: where in the file it will be written, a multiple of
// kRecordAlignment. `promised`: all bytes of the file below it are known to be durable.
void finish_record(std::string& record, uint64_t salt, uint64_t offset, uint64_t promised);

struct RecordView {
  std::string_view payload;
  uint64_t promised = 0;
  uint64_t end = 0;  // offset of the byte after the record's padding
};

// The record at `offset` of the whole file's bytes, or nothing if there is none that is intact.
std::optional<RecordView> read_record(std::string_view file, uint64_t salt, uint64_t offset);

// Looks behind a place where no intact record is: the largest promise made by any intact record header at or
// after `offset`, 0 if there is none. Linear in the size of the file.
uint64_t largest_promise_after(std::string_view file, uint64_t salt, uint64_t offset);

}  // namespace tidemark
