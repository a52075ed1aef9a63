// Moving in: what a SQLite file of denokv or the Deno CLI holds becomes a database.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/database.h"
#include "tools/sqlite_file.h"
#include "tools/transfer_progress.h"

namespace tidemark::tools {

struct SqliteImportCounts {
  uint64_t entries = 0;
  uint64_t bytes = 0;     // of their keys and values
  uint64_t expiring = 0;  // of the entries, those that have an expiry
  uint64_t expired = 0;   // left out: their time had come
  uint64_t messages = 0;
  uint64_t being_delivered = 0;  // of the messages
  Versionstamp head;             // what the database has come to; min() if there was nothing to take
  int64_t earliest_expiry_ms = std::numeric_limits<int64_t>::max();
};

// A file that is being moved in. One thread.
class SqliteImport {
 public:
  // Looks whether this is such a file. kInvalidArgument if it is not, kNewerFormat if it is of a later kind;
  // others as SqliteFile. `progress` is called from here on, and must stay.
  static Result<std::unique_ptr<SqliteImport>> open(const std::string& path,
                                                    const TransferProgress& progress);

  // Reads the whole file and looks whether SQLite's own structures hold. kCorruption otherwise.
  Status verify();

  // Makes of everything in the file one change of `database`, which must never have been written to
  // (kInvalidArgument otherwise): keys, values with their encodings, versionstamps, expiries, queued
  // messages. Larger than memory if need be. `now_ms`: what has expired by then is left out. On any error but
  // kUnknownOutcome nothing has changed. Call it once.
  Result<SqliteImportCounts> run(Database& database, int64_t now_ms);

 private:
  explicit SqliteImport(std::string path, const TransferProgress& progress)
      : path_(std::move(path)), pacer_(progress) {}
  Status look();
  Status add(Ingest& ingest, std::string_view key, Versionstamp stamp, std::string_view value);
  Status add_expiry_index(Ingest& ingest, int64_t now_ms);
  Status add_messages(Ingest& ingest);
  Status add_entries(Ingest& ingest, int64_t now_ms);
  Result<int64_t> newest_version();

  const std::string path_;
  ProgressPacer pacer_;
  std::unique_ptr<SqliteFile> file_;
  bool has_queue_ = false;
  bool has_running_ = false;
  bool has_expiry_ = false;
  const char* doing_ = "";
  SqliteImportCounts counts_;
};

// kInvalidArgument unless `database` was never written to: only then can versionstamps of elsewhere be kept.
Status check_never_written(const Database& database, std::string_view name);

}  // namespace tidemark::tools
