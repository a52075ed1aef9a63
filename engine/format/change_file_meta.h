// What manifest edits and WAL records say of a change file.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/coding.h"
#include "engine/base/versionstamp.h"

namespace tidemark {

// What is known of a change file without opening it; stored in manifest edits.
struct ChangeFileMeta {
  uint64_t number = 0;
  uint64_t file_bytes = 0;
  uint64_t commits = 0;
  Versionstamp first_stamp;  // both inclusive
  Versionstamp last_stamp;
  int64_t first_timestamp_ms = 0;
  int64_t last_timestamp_ms = 0;

  bool operator==(const ChangeFileMeta&) const = default;
};
void put_change_file_meta(std::string& out, const ChangeFileMeta& meta);
ChangeFileMeta read_change_file_meta(ByteReader& in);

}  // namespace tidemark
