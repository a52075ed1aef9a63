// SQLite files as denokv and the Deno CLI keep them: opening one to read, making one, and what stands in it.
//
//   migration_state (k, version)   0, number of the schema: 1 entries; 2 and queues; 3 and expiries
//   data_version (k, version, seq) 0, the newest commit's version
//   kv (k, v, v_encoding, version, seq, expiration_ms)   entries; a view in what `denokv pitr` has checked
//   out queue (ts, id, data, backoff_schedule, keys_if_undelivered)   messages, by time of delivery in ms
//   queue_running (deadline, the same)   messages that are being delivered, by when that is given up, in ms
//
// A version is the first eight bytes of a versionstamp as a signed integer. expiration_ms is -1 for never.
// seq means nothing outside Deno Deploy. backoff_schedule is JSON, an array of ms or null;
// keys_if_undelivered is JSON, an array of arrays of bytes. All as in crate denokv_sqlite 0.12.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tidemark::tools {

inline constexpr int64_t kSqliteSchemaVersion = 3;
// Makes the schema of that version, but for the index, in an empty file.
extern const char kSqliteSchema[];
// To be made when the entries are there.
extern const char kSqliteExpiryIndex[];

// What one row may have at most; SQLite's own limit would allow a gigabyte.
inline constexpr int kMaxSqliteRowBytes = 64 << 20;

class SqliteFile;

// A statement. One thread; must not outlive its file.
class SqliteStatement {
 public:
  SqliteStatement(SqliteStatement&&) = default;

  // Binds parameter 1, 2, ... Bytes must stay as they are until reset().
  void bind(int parameter, int64_t value);
  void bind_blob(int parameter, std::string_view bytes);
  void bind_text(int parameter, std::string_view text);
  // Moves to the first, later to the next row. False at the end.
  Result<bool> step();
  // Runs a statement that has no rows, and makes it ready for new parameters.
  Status run();

  // Of the row: REQUIRES step() gave true.
  bool is_integer(int column) const;
  bool is_blob(int column) const;
  bool is_bytes(int column) const;  // a blob or text
  int64_t integer(int column) const;
  // Valid until the next step().
  std::string_view bytes(int column) const;

 private:
  friend class SqliteFile;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  SqliteStatement(const SqliteFile& file, sqlite3_stmt* statement) : file_(&file), statement_(statement) {}

  const SqliteFile* file_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Errors are sentences that name the file: kInvalidArgument (missing, or something else), kCorruption,
// kLocked, kIo, kNoSpace. One thread.
class SqliteFile {
 public:
  // To read. A WAL that lies beside the file is read with it, also while another process writes: then what is
  // read is one moment's state, from begin_read() on. The file and its WAL are not written.
  static Result<std::unique_ptr<SqliteFile>> open(const std::string& path);
  // A new one, without a journal: for who makes it under another name first. The path must be free.
  static Result<std::unique_ptr<SqliteFile>> create(const std::string& path);
  ~SqliteFile();
  SqliteFile(const SqliteFile&) = delete;

  // Is called now and then while statements run, and ends them with its error.
  void set_watcher(std::function<Status()> watcher);
  Result<SqliteStatement> prepare(const std::string& sql);
  Status execute(const char* sql);
  // The only integer of the only row; kCorruption if there is none.
  Result<int64_t> read_integer(const std::string& sql);
  Status begin_read();
  // kLocked if somebody has begun to write since the file was opened, and what was read may be a mixture.
  Status check_unchanged() const;

  std::unexpected<Error> damaged(const std::string& what) const;

 private:
  friend class SqliteStatement;
  // What tells whether a file was written to.
  struct Marks {
    int64_t bytes = 0;
    int64_t changed_ns = 0;
    bool in_use = false;  // a WAL or its index lies beside it
    bool operator==(const Marks&) const = default;
  };

  explicit SqliteFile(std::string path) : path_(std::move(path)) {}
  Result<Marks> marks() const;
  Status open_handle(const std::string& uri, int flags);
  std::unexpected<Error> failure(int code) const;

  const std::string path_;
  sqlite3* handle_ = nullptr;
  bool unguarded_ = false;  // opened without SQLite's locks
  Marks at_open_;
  std::function<Status()> watcher_;
  Status watched_;
};

}  // namespace tidemark::tools
