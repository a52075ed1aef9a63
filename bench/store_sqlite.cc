// SQLite: a table WITHOUT ROWID, prepared statements, one transaction per put.
//   journal_mode=WAL
//   synced      synchronous=FULL: the log is synced at every commit
//   unsynced    synchronous=OFF
//   mmap_size   the whole file, so that pages are read in place; cache_size as everybody's cache
//   writers     one connection behind a mutex: the fastest way to write from many threads, since SQLite has
//   one
//               writer at a time and connections that collide sleep
//   readers     one connection per session
//   values      sqlite3_column_blob, without a copy into a string
// No compression, no filter.
#include <sqlite3.h>

#include <mutex>

#include "bench/store.h"

namespace tidemark::bench {

namespace {

class Connection {
 public:
  Connection(const std::string& file, const StoreOptions& options) {
    if (sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        nullptr) != SQLITE_OK) {
      die("sqlite: open: " + file);
    }
    sqlite3_busy_timeout(db_, 60'000);
    run("PRAGMA journal_mode=WAL");
    run(options.sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    run(("PRAGMA cache_size=-" + std::to_string(options.cache_bytes >> 10)).c_str());
    run(("PRAGMA mmap_size=" + std::to_string(uint64_t{16} << 30)).c_str());
    if (options.keep_log) {
      run("PRAGMA wal_autocheckpoint=0");
    }
    run("CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID");
    if (options.keep_log) {
      check(sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr), "configure");
    }
  }
  ~Connection() { sqlite3_close(db_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void run(const char* sql) { check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), sql); }
  void check(int code, const char* what) {
    if (code != SQLITE_OK) {
      die(std::string("sqlite: ") + what + ": " + sqlite3_errmsg(db_));
    }
  }
  sqlite3* get() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

class Statement {
 public:
  Statement(Connection& connection, const char* sql) : connection_(connection) {
    connection.check(
        sqlite3_prepare_v3(connection.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr), sql);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int at, std::string_view bytes) {
    sqlite3_bind_blob(statement_, at, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  }
  void bind(int at, uint64_t number) {
    sqlite3_bind_int64(statement_, at, static_cast<sqlite3_int64>(number));
  }
  // True: a row stands ready.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      die(std::string("sqlite: step: ") + sqlite3_errmsg(connection_.get()));
    }
    return code == SQLITE_ROW;
  }
  void reset() { sqlite3_reset(statement_); }
  std::string_view column(int at) {
    const void* bytes = sqlite3_column_blob(statement_, at);
    return {static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, at))};
  }

 private:
  Connection& connection_;
  sqlite3_stmt* statement_ = nullptr;
};

class SharedWriter {
 public:
  SharedWriter(const std::string& file, const StoreOptions& options)
      : connection_(file, options), insert_(connection_, "INSERT OR REPLACE INTO kv(k, v) VALUES(?1, ?2)") {}

  void put(std::string_view key, std::string_view value) {
    std::lock_guard lock(mutex_);
    insert(key, value);
  }
  void put_batch(std::span<const Entry> entries) {
    std::lock_guard lock(mutex_);
    connection_.run("BEGIN IMMEDIATE");
    for (const Entry& entry : entries) {
      insert(entry.key, entry.value);
    }
    connection_.run("COMMIT");
  }
  void settle() {
    std::lock_guard lock(mutex_);
    connection_.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

 private:
  void insert(std::string_view key, std::string_view value) {
    insert_.bind(1, key);
    insert_.bind(2, value);
    insert_.step();
    insert_.reset();
  }

  std::mutex mutex_;
  Connection connection_;
  Statement insert_;
};

struct Reader {
  Reader(const std::string& file, const StoreOptions& options)
      : connection(file, options),
        get(connection, "SELECT v FROM kv WHERE k = ?1"),
        forward(connection, "SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2"),
        reverse(connection, "SELECT k, v FROM kv WHERE k <= ?1 ORDER BY k DESC LIMIT ?2") {}
  Connection connection;
  Statement get;
  Statement forward;
  Statement reverse;
};

class SqliteSession final : public Session {
 public:
  SqliteSession(SharedWriter& writer, std::string file, const StoreOptions& options)
      : writer_(writer), file_(std::move(file)), options_(options) {}

  void put(std::string_view key, std::string_view value) override { writer_.put(key, value); }
  void put_batch(std::span<const Entry> entries) override { writer_.put_batch(entries); }

  std::optional<std::string_view> get(std::string_view key) override {
    Statement& statement = reader().get;
    statement.reset();
    statement.bind(1, key);
    if (!statement.step()) {
      return std::nullopt;
    }
    return statement.column(0);
  }

  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check) override {
    Statement& statement = reverse ? reader().reverse : reader().forward;
    statement.bind(1, start);
    statement.bind(2, limit);
    while (statement.step()) {
      check.entry(statement.column(0), statement.column(1));
    }
    statement.reset();
  }

 private:
  Reader& reader() {
    if (reader_ == nullptr) {
      reader_ = std::make_unique<Reader>(file_, options_);
    }
    return *reader_;
  }

  SharedWriter& writer_;
  const std::string file_;
  const StoreOptions options_;
  std::unique_ptr<Reader> reader_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& dir, const StoreOptions& options)
      : file_(dir + "/kv.sqlite"), options_(options), writer_(file_, options) {}

  std::unique_ptr<Session> session() override {
    return std::make_unique<SqliteSession>(writer_, file_, options_);
  }
  void settle() override { writer_.settle(); }

 private:
  const std::string file_;
  const StoreOptions options_;
  SharedWriter writer_;
};

}  // namespace

std::unique_ptr<Store> open_sqlite(const std::string& dir, const StoreOptions& options) {
  return std::make_unique<SqliteStore>(dir, options);
}

}  // namespace tidemark::bench
