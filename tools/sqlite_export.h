// Moving out: what a database holds, as a SQLite file that the Deno CLI and denokv open.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/database.h"
#include "tools/transfer_progress.h"

namespace tidemark::tools {

struct SqliteExportCounts {
  uint64_t entries = 0;
  uint64_t bytes = 0;    // of their keys and values
  uint64_t expired = 0;  // left out: their time had come
  uint64_t messages = 0;
  // Entries whose versionstamp does not end in 0000. A version has room for the first eight bytes only, so
  // the last two are cut off; they become 0000 for those who read the file.
  uint64_t cut_versionstamps = 0;
  uint64_t file_bytes = 0;
};

// Writes what the snapshot sees into a new file, which is durable when this returns. It is made as
// "<path>.partial" and then renamed, so it is there as a whole or not. `now_ms`: what has expired by then is
// left out. kInvalidArgument if `path` or the partial file is there already; others: kNoSpace, kIo, and those
// of reading. On any error there is no new file.
Result<SqliteExportCounts> export_sqlite(Database& database, const Snapshot& snapshot, int64_t now_ms,
                                         FileSystem& file_system, const std::string& path,
                                         const TransferProgress& progress);

}  // namespace tidemark::tools
