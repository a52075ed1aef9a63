// What the records of a WAL file say. Byte by byte: docs/formats/wal.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/format/change_file_meta.h"
#include "engine/format/segment_meta.h"

namespace tidemark {

enum class WalRecordType : uint8_t {  // stored; do not change
  kGroup = 1,                         // commits, in order
  kIngest = 2,                        // finished segments, published as a whole
  kClose = 3,                         // nothing: its header's promise covers everything before it
  kCopy =
      4,  // another payload follows: recovery found it in an older file and writes it again. Only copies are
          // written to a file before the manifest knows of it
};

enum class WriteKind : uint8_t { kPut = 0, kTombstone = 1 };  // stored; do not change

// A group is its type byte, then one commit after the other.
inline void begin_group(std::string& payload) {
  payload.push_back(static_cast<char>(WalRecordType::kGroup));
}
// A commit is this header, then as many writes as it says.
inline constexpr size_t kWalCommitHeaderBytes = 22;
void store_wal_commit(char* header, Versionstamp stamp, int64_t timestamp_ms, uint32_t writes);
void put_wal_write(std::string& payload, WriteKind kind, std::string_view key, std::string_view value);

struct WalIngest {
  Versionstamp last_stamp;  // becomes the head
  int64_t timestamp_ms = 0;
  std::vector<SegmentMeta> segments;
  std::vector<ChangeFileMeta>
      changes;  // what the segments hold, in the order of stamps; older stores have none
  std::optional<Versionstamp> horizon;  // moves there
};
std::string encode_ingest(const WalIngest& ingest);

class WalVisitor {
 public:
  virtual ~WalVisitor() = default;
  virtual Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) = 0;
  virtual Status on_write(WriteKind kind, std::string_view key, std::string_view value) = 0;
  virtual Status on_ingest(const WalIngest& ingest) = 0;
};

// Calls the visitor for all that one record's payload says. kCorruption (no file in the message) if it is
// malformed.
Status visit_wal_payload(std::string_view payload, WalVisitor& visitor);

}  // namespace tidemark
