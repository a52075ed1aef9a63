// Log files put together from payloads that a fuzzer chose, with the checksums that its own bytes would never
// have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/format/log_record.h"

namespace tidemark::fuzz {

inline const std::string kDatabaseId = "0123456789abcdef";

inline std::string log_header(LogKind kind, uint64_t number, uint64_t predecessor = 0,
                              uint64_t predecessor_end = 0) {
  return encode_log_header({kind, kDatabaseId, number, predecessor, predecessor_end});
}

struct RecordForm {
  uint64_t promised = 0;  // any number, unlike those that are written
  bool spoil_header = false;
  bool spoil_payload = false;
};

// Puts a record at the end of a log file. REQUIRES: its size is a multiple of kRecordAlignment.
inline void add_record(std::string& file, LogKind kind, uint64_t number, std::string_view payload,
                       const RecordForm& form) {
  std::string record(kRecordHeaderBytes, '\0');
  record += payload;
  const uint64_t salt = log_salt(kind, kDatabaseId, number);
  finish_record(record, salt, file.size(), 0);
  char* const header = record.data();
  store_le64(header + 8, form.promised);
  if (form.spoil_payload) header[16] = static_cast<char>(header[16] ^ 1);
  store_le64(header + 24, xxh3({header, 24}, salt ^ file.size()));
  if (form.spoil_header) header[24] = static_cast<char>(header[24] ^ 1);
  file += record;
}

// The content of CURRENT.
inline std::string current_file(uint64_t manifest_number) {
  std::string out("TIDECUR\n");
  put_le32(out, 1);
  put_le32(out, 0);
  out += kDatabaseId;
  put_le64(out, manifest_number);
  put_le64(out, xxh3(out));
  return out;
}

}  // namespace tidemark::fuzz
