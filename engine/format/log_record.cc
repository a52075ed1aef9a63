#include "engine/format/log_record.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/mutant.h"

namespace tidemark {
namespace {

constexpr std::string_view kMagic = "TIDELOG\n";
constexpr uint32_t kRecordMagic = 0x52444954;  // "TIDR"

uint64_t header_checksum(const char* header, uint64_t salt, uint64_t offset) {
  return xxh3({header, 24}, salt ^ offset);
}

bool header_intact(std::string_view file, uint64_t salt, uint64_t offset) {
  const char* p = file.data() + offset;
  return load_le32(p) == kRecordMagic && load_le64(p + 24) == header_checksum(p, salt, offset);
}

}  // namespace

std::string encode_log_header(const LogHeader& header) {
  TM_CHECK(header.database_id.size() == 16);
  std::string out(kMagic);
  put_le32(out, kLogFormatVersion);
  put_le32(out, static_cast<uint32_t>(header.kind));
  out += header.database_id;
  put_le64(out, header.file_number);
  put_le64(out, header.predecessor_number);
  put_le64(out, header.predecessor_end);
  put_le64(out, xxh3(out));
  TM_CHECK(out.size() == kLogHeaderBytes);
  return out;
}

Result<LogHeader> decode_log_header(std::string_view bytes, LogKind kind) {
  if (bytes.size() < kLogHeaderBytes) return fail(ErrorCode::kCorruption, "the file header is cut short");
  if (bytes.substr(0, 8) != kMagic) return fail(ErrorCode::kCorruption, "the file header has a wrong magic");
  if (load_le64(bytes.data() + 56) != xxh3(bytes.substr(0, 56)))
    return fail(ErrorCode::kCorruption, "the file header does not match its checksum");
  const uint32_t version = load_le32(bytes.data() + 8);
  if (version > kLogFormatVersion)
    return fail(ErrorCode::kNewerFormat, "log format version " + std::to_string(version) +
                                             " is newer than this program's " +
                                             std::to_string(kLogFormatVersion));
  if (load_le32(bytes.data() + 12) != static_cast<uint32_t>(kind))
    return fail(ErrorCode::kCorruption, "the file is a log of another kind");
  LogHeader header;
  header.kind = kind;
  header.database_id = bytes.substr(16, 16);
  header.file_number = load_le64(bytes.data() + 32);
  header.predecessor_number = load_le64(bytes.data() + 40);
  header.predecessor_end = load_le64(bytes.data() + 48);
  return header;
}

uint64_t log_salt(LogKind kind, std::string_view database_id, uint64_t file_number) {
  std::string id(database_id);
  id.push_back(static_cast<char>(kind));
  put_le64(id, file_number);
  return xxh3(id);
}

void finish_record(std::string& record, uint64_t salt, uint64_t offset, uint64_t promised) {
  TM_CHECK(record.size() >= kRecordHeaderBytes && offset % kRecordAlignment == 0 && promised <= offset);
  const uint64_t payload_bytes = record.size() - kRecordHeaderBytes;
  TM_CHECK(payload_bytes <= kMaxRecordPayloadBytes);
  char* p = record.data();
  store_le32(p, kRecordMagic);
  store_le32(p + 4, static_cast<uint32_t>(payload_bytes));
  store_le64(p + 8, promised);
  store_le64(p + 16, xxh3(std::string_view(record).substr(kRecordHeaderBytes), salt ^ offset));
  store_le64(p + 24, header_checksum(p, salt, offset));
  record.resize(record_bytes(payload_bytes), '\0');
}

std::optional<RecordView> read_record(std::string_view file, uint64_t salt, uint64_t offset) {
  if (offset > file.size() || file.size() - offset < kRecordHeaderBytes) return std::nullopt;
  if (!header_intact(file, salt, offset)) return std::nullopt;
  const char* p = file.data() + offset;
  const uint64_t payload_bytes = load_le32(p + 4);
  if (payload_bytes > kMaxRecordPayloadBytes || record_bytes(payload_bytes) > file.size() - offset)
    return std::nullopt;
  const std::string_view payload = file.substr(offset + kRecordHeaderBytes, payload_bytes);
  if (load_le64(p + 16) != xxh3(payload, salt ^ offset) && !TM_MUTANT("engine.ignore-checksum"))
    return std::nullopt;
  return RecordView{payload, load_le64(p + 8), offset + record_bytes(payload_bytes)};
}

uint64_t largest_promise_after(std::string_view file, uint64_t salt, uint64_t offset) {
  uint64_t largest = 0;
  offset = (offset + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
  for (; offset + kRecordHeaderBytes <= file.size(); offset += kRecordAlignment)
    if (header_intact(file, salt, offset)) largest = std::max(largest, load_le64(file.data() + offset + 8));
  return largest;
}

}  // namespace tidemark
