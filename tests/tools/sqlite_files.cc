#include "tests/tools/sqlite_files.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace tidemark::test {

SqliteTestFile::SqliteTestFile(const std::string& path, bool wal) {
  EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK) << path;
  run(wal ? "pragma journal_mode = wal" : "pragma journal_mode = delete");
}

SqliteTestFile::~SqliteTestFile() {
  EXPECT_EQ(sqlite3_close(handle_), SQLITE_OK);
}

void SqliteTestFile::make_schema(int version) {
  run("create table if not exists migration_state (k integer not null primary key, version integer not "
      "null)");
  run("create table data_version (k integer primary key, version integer not null);"
      "insert into data_version (k, version) values (0, 0);"
      "create table kv (k blob primary key, v blob not null, v_encoding integer not null,"
      " version integer not null) without rowid;");
  for (const std::string table : {"queue", "queue_running"}) {
    if (version < 2) break;
    const std::string time = table == "queue" ? "ts" : "deadline";
    run("create table " + table + " (" + time +
        " integer not null, id text not null, data blob not null, backoff_schedule text not null,"
        " keys_if_undelivered blob not null, primary key (" +
        time + ", id))");
  }
  if (version >= 3) {
    run("alter table kv add column seq integer not null default 0;"
        "alter table data_version add column seq integer not null default 0;"
        "alter table kv add column expiration_ms integer not null default -1;"
        "create index kv_expiration_ms_idx on kv (expiration_ms)");
  }
  run("replace into migration_state (k, version) values (0, " + std::to_string(version) + ")");
}

void SqliteTestFile::run(const std::string& sql) {
  EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(handle_);
}

void SqliteTestFile::run(const std::string& sql, const std::vector<std::string>& parameters) {
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& one = parameters[i];
    const int at = static_cast<int>(i) + 1;
    if (one.starts_with('#')) {
      sqlite3_bind_int64(statement, at, std::stoll(one.substr(1)));
    } else if (one.starts_with('$')) {
      sqlite3_bind_text(statement, at, one.c_str() + 1, static_cast<int>(one.size()) - 1, SQLITE_TRANSIENT);
    } else {
      sqlite3_bind_blob(statement, at, one.data(), static_cast<int>(one.size()), SQLITE_TRANSIENT);
    }
  }
  EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE) << sqlite3_errmsg(handle_);
  sqlite3_finalize(statement);
}

void SqliteTestFile::put(const std::string& key, const std::string& value, int encoding, int64_t version,
                         int64_t expire_at_ms) {
  sqlite3_stmt* statement = nullptr;
  const char sql[] = "insert into kv (k, v, v_encoding, version, expiration_ms) values (?, ?, ?, ?, ?)";
  EXPECT_EQ(sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr), SQLITE_OK);
  sqlite3_bind_blob(statement, 1, key.data(), static_cast<int>(key.size()), SQLITE_TRANSIENT);
  sqlite3_bind_blob(statement, 2, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  sqlite3_bind_int(statement, 3, encoding);
  sqlite3_bind_int64(statement, 4, version);
  sqlite3_bind_int64(statement, 5, expire_at_ms);
  EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE) << sqlite3_errmsg(handle_);
  sqlite3_finalize(statement);
}

std::vector<std::string> SqliteTestFile::rows(const std::string& sql) {
  std::vector<std::string> out;
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      static constexpr const char* kTypes[] = {"", "#", "~", "$", "", "null"};
      row += (i == 0 ? "" : "|") + std::string(kTypes[sqlite3_column_type(statement, i)]);
      const void* bytes = sqlite3_column_blob(statement, i);
      if (bytes != nullptr)
        row.append(static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement, i)));
    }
    out.push_back(std::move(row));
  }
  sqlite3_finalize(statement);
  return out;
}

}  // namespace tidemark::test
