// What `tidemark stats` tells of a database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/database.h"
#include "tools/transfer_progress.h"

namespace tidemark::tools {

// Sizes are in bytes; those of keys and values are before compression.
struct DatabaseReport {
  struct Sum {
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };
  // The client's entries whose keys have the same first part.
  struct Prefix {
    std::string part;  // a key of this part alone (server/kv/tuple_key.h)
    Sum sum;
  };
  static constexpr size_t kPrefixes = 10;

  Versionstamp head;
  int64_t head_timestamp_ms = 0;  // 0: there never was a commit
  Versionstamp horizon;
  DatabaseStats stats;

  Sum user;  // expired ones that were not deleted yet included
  uint64_t user_expired = 0;
  std::vector<Prefix> largest;  // at most kPrefixes, by bytes, the largest first
  uint64_t prefixes = 0;        // how many there are
  Sum unreadable;               // entries whose keys are none of Deno KV's

  Sum expiry_index;
  uint64_t expiry_due = 0;    // index entries whose time has come
  int64_t expiry_lag_ms = 0;  // how long the oldest of them has waited
  Sum queue;
  uint64_t queue_due = 0;    // messages whose time of delivery has come
  int64_t queue_lag_ms = 0;  // how long the oldest of them has waited

  uint64_t live_bytes() const;    // of segments
  uint64_t live_entries() const;  // in segments, tombstones included
  uint64_t disk_bytes() const;    // of all files that hold versions
  // Versions in segments for each live one. Nothing while there are none.
  std::optional<double> versions_per_key() const;
  // Bytes on disk for each byte of keys and values at head.
  std::optional<double> space_amplification() const;
  // Bytes written to segments for each byte of a flush, since the database was opened. The log adds one.
  std::optional<double> write_amplification() const;
};

// Walks everything at head once, in little memory.
Result<DatabaseReport> report_database(Database& database, int64_t now_ms, const TransferProgress& progress);

}  // namespace tidemark::tools
