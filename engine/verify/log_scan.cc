// Where LogFileReader gives up, this goes on: behind damage, the next record is looked for at every place at
// which one may begin. Checksums depend on the place, so nothing else passes for one.
#include "engine/verify/log_scan.h"

#include <algorithm>

#include "engine/base/coding.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kMaxLogFileBytes = uint64_t{8} << 30;

}  // namespace

Result<LogScan> LogScan::read(FileSystem& fs, const std::string& path, LogKind kind,
                              std::string_view database_id, uint64_t number) {
  LogScan scan;
  TM_ASSIGN(scan.bytes_, read_file(fs, path, kMaxLogFileBytes));
  scan.header_ = decode_log_header(std::string_view(scan.bytes_).substr(0, kLogHeaderBytes), kind);
  std::string id(database_id);
  if (scan.header_) {
    if (id.empty()) id = scan.header_->database_id;
    if (scan.header_->database_id != id)
      scan.header_ = fail(ErrorCode::kCorruption, "the file belongs to another database");
    else if (scan.header_->file_number != number)
      scan.header_ = fail(ErrorCode::kCorruption,
                          "the file was written as number " + std::to_string(scan.header_->file_number));
  }
  scan.readable_ = !id.empty() && (scan.header_ || scan.header_.error().code != ErrorCode::kNewerFormat);
  scan.salt_ = log_salt(kind, id, number);
  return scan;
}

std::optional<LogPiece> LogScan::next(std::optional<uint64_t> limit) {
  if (!readable_ || (limit && offset_ == *limit)) return std::nullopt;
  const auto intact = [&](uint64_t offset) {
    std::optional<RecordView> record = read_record(bytes_, salt_, offset);
    if (record && limit && record->end > *limit) record.reset();
    return record;
  };
  if (auto record = intact(offset_)) {
    const LogPiece piece{offset_, record->end, record};
    promised_ = std::max(promised_, record->promised);
    offset_ = record->end;
    return piece;
  }
  if (!looked_behind_) {
    promised_ = std::max(promised_, largest_promise_after(bytes_, salt_, offset_));
    looked_behind_ = true;
  }
  const uint64_t durable = limit.value_or(promised_);
  if (offset_ >= durable) return std::nullopt;
  LogPiece damage{offset_, durable, std::nullopt};
  const uint64_t last = std::min<uint64_t>(limit.value_or(bytes_.size()), bytes_.size());
  for (uint64_t at = offset_ + kRecordAlignment; at + kRecordHeaderBytes <= last; at += kRecordAlignment) {
    if (!intact(at)) continue;
    damage.end = at;
    break;
  }
  offset_ = damage.end;
  return damage;
}

bool LogScan::torn() const {
  if (offset_ >= bytes_.size()) return false;
  return bytes_.find_first_not_of('\0', offset_) != std::string::npos;
}

}  // namespace tidemark::verify
