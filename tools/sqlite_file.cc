// How a file is opened to read depends on how it was left. A file in WAL mode that was closed in good order
// has no WAL; SQLite would put an empty one and an index beside it and leave them there, even for a reader.
// Such a file is opened as immutable, without locks, and compared afterwards with how it was. In any other
// case SQLite's own locks see to it that one moment is read.
#include "tools/sqlite_file.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "engine/base/check.h"
#include "engine/base/hex.h"

namespace tidemark::tools {

const char kSqliteSchema[] =
    "create table migration_state (k integer not null primary key, version integer not null);"
    "insert into migration_state values (0, 3);"
    "create table data_version (k integer primary key, version integer not null,"
    "  seq integer not null default 0);"
    "create table kv (k blob primary key, v blob not null, v_encoding integer not null,"
    "  version integer not null, seq integer not null default 0,"
    "  expiration_ms integer not null default -1) without rowid;"
    "create table queue (ts integer not null, id text not null, data blob not null,"
    "  backoff_schedule text not null, keys_if_undelivered blob not null, primary key (ts, id));"
    "create table queue_running (deadline integer not null, id text not null, data blob not null,"
    "  backoff_schedule text not null, keys_if_undelivered blob not null, primary key (deadline, id));";
const char kSqliteExpiryIndex[] = "create index kv_expiration_ms_idx on kv (expiration_ms)";

namespace {

constexpr int kBusyMs = 2000;
constexpr int kWatchSteps = 20'000;  // of SQLite's machine, between two calls of the watcher
// Where the header says which journal a reader needs to know; 2: a WAL.
constexpr off_t kReadVersionOffset = 19;
constexpr char kWalMode = 2;

std::string system_message(int error) {
  return std::generic_category().message(error);
}

// A URI of any path, with `query`.
std::string uri_of(const std::string& path, const char* query) {
  std::string out = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      out += '%';
      append_hex(out, static_cast<uint8_t>(c));
    } else {
      out += c;
    }
  }
  return out + query;
}

bool is_there(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

// Whether a reader must look for a WAL. Nothing is said of a file that cannot be read.
bool is_in_wal_mode(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char version = 0;
  const bool is = ::pread(fd, &version, 1, kReadVersionOffset) == 1 && version == kWalMode;
  ::close(fd);
  return is;
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteStatement::bind(int parameter, int64_t value) {
  TM_CHECK(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK);
}

void SqliteStatement::bind_blob(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  TM_CHECK(sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_STATIC) == SQLITE_OK);
}

void SqliteStatement::bind_text(int parameter, std::string_view text) {
  TM_CHECK(sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8) == SQLITE_OK);
}

Result<bool> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return file_->failure(code);
}

Status SqliteStatement::run() {
  TM_ASSIGN(const bool row, step());
  TM_CHECK(!row);
  sqlite3_reset(statement_.get());
  return {};
}

bool SqliteStatement::is_integer(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER;
}

bool SqliteStatement::is_blob(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_BLOB;
}

bool SqliteStatement::is_bytes(int column) const {
  return is_blob(column) || sqlite3_column_type(statement_.get(), column) == SQLITE_TEXT;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<size_t>(size)};
}

SqliteFile::~SqliteFile() {
  sqlite3_close(handle_);
}

std::unexpected<Error> SqliteFile::damaged(const std::string& what) const {
  // Part of it may come from the file: one line of plain text, and not a long one.
  constexpr size_t kMaxChars = 200;
  std::string shown = what.substr(0, kMaxChars);
  for (char& c : shown)
    if (c < ' ' || c > '~') c = ' ';
  return fail(ErrorCode::kCorruption, path_ + " is damaged: " + shown);
}

std::unexpected<Error> SqliteFile::failure(int code) const {
  const std::string why = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return fail(ErrorCode::kInvalidArgument, path_ + " is no SQLite file");
    case SQLITE_CORRUPT:
      return damaged(why);
    case SQLITE_TOOBIG:
      return fail(ErrorCode::kInvalidArgument, path_ + " holds a row of more than 64 MiB");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(ErrorCode::kLocked,
                  path_ + " is in use by a process that lets nobody read it now: stop it, and try again");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return fail(ErrorCode::kIo, path_ + " cannot be read as it is (" + why +
                                      "): if it was not closed in good order, copy it and what lies beside "
                                      "it into a folder that can be written to");
    case SQLITE_FULL:
      return fail(ErrorCode::kNoSpace, path_ + ": the disk is full");
    case SQLITE_INTERRUPT:
      if (!watched_) return std::unexpected(watched_.error());
      break;
    default:
      break;
  }
  return fail(ErrorCode::kIo, path_ + ": " + why);
}

Result<SqliteFile::Marks> SqliteFile::marks() const {
  struct stat info;
  if (::stat(path_.c_str(), &info) != 0) {
    return fail(errno == ENOENT || errno == ENOTDIR ? ErrorCode::kInvalidArgument : ErrorCode::kIo,
                path_ + " cannot be opened: " + system_message(errno));
  }
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kInvalidArgument, path_ + " is no file");
  return Marks{info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
               is_there(path_ + "-wal") || is_there(path_ + "-shm") || is_there(path_ + "-journal")};
}

Status SqliteFile::open_handle(const std::string& uri, int flags) {
  // Opening alone does not read the file.
  const int code =
      sqlite3_open_v2(uri.c_str(), &handle_, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return failure(code);
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, kMaxSqliteRowBytes);
  sqlite3_busy_timeout(handle_, kBusyMs);
  return {};
}

Result<std::unique_ptr<SqliteFile>> SqliteFile::open(const std::string& path) {
  std::unique_ptr<SqliteFile> file(new SqliteFile(path));
  TM_ASSIGN(file->at_open_, file->marks());
  if (::access(path.c_str(), R_OK) != 0)
    return fail(ErrorCode::kIo, path + " cannot be opened: " + system_message(errno));
  if (file->at_open_.bytes == 0) return fail(ErrorCode::kInvalidArgument, path + " is empty");
  file->unguarded_ = !file->at_open_.in_use && is_in_wal_mode(path);
  TM_TRY(file->open_handle(uri_of(path, file->unguarded_ ? "?immutable=1" : ""), SQLITE_OPEN_READONLY));
  // What stands in the file is not trusted: no functions in its views, and pages are looked at twice.
  sqlite3_db_config(file->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(file->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  TM_TRY(file->execute("pragma cell_size_check = on"));
  return file;
}

Result<std::unique_ptr<SqliteFile>> SqliteFile::create(const std::string& path) {
  std::unique_ptr<SqliteFile> file(new SqliteFile(path));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) {
    return fail(errno == EEXIST ? ErrorCode::kInvalidArgument : ErrorCode::kIo,
                path + " cannot be made: " + system_message(errno));
  }
  ::close(fd);
  TM_TRY(file->open_handle(uri_of(path, ""), SQLITE_OPEN_READWRITE));
  TM_TRY(file->execute("pragma journal_mode = off"));
  TM_TRY(file->execute("pragma synchronous = off"));
  return file;
}

void SqliteFile::set_watcher(std::function<Status()> watcher) {
  watcher_ = std::move(watcher);
  const auto call = [](void* given) {
    SqliteFile& file = *static_cast<SqliteFile*>(given);
    file.watched_ = file.watcher_();
    return file.watched_ ? 0 : 1;
  };
  sqlite3_progress_handler(handle_, kWatchSteps, call, this);
}

Result<SqliteStatement> SqliteFile::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return SqliteStatement(*this, statement);
}

Status SqliteFile::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

Result<int64_t> SqliteFile::read_integer(const std::string& sql) {
  TM_ASSIGN(SqliteStatement statement, prepare(sql));
  TM_ASSIGN(const bool row, statement.step());
  if (!row || !statement.is_integer(0)) return damaged("there is no number where one should be");
  return statement.integer(0);
}

Status SqliteFile::begin_read() {
  TM_TRY(execute("begin"));
  // Only what is read takes the snapshot.
  return execute("select count(*) from sqlite_schema");
}

Status SqliteFile::check_unchanged() const {
  if (!unguarded_) return {};
  TM_ASSIGN(const Marks now, marks());
  if (now == at_open_) return {};
  return fail(ErrorCode::kLocked, path_ +
                                      " was written to while it was being read: try again, and stop what "
                                      "uses it if need be");
}

}  // namespace tidemark::tools
