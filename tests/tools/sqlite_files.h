// SQLite files for the tests of moving in and out, made with the statements that denokv makes them with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct sqlite3;

namespace tidemark::test {

// A connection to a file. Fails the test on any error.
class SqliteTestFile {
 public:
  // Makes the file if it is missing, in WAL mode as denokv has it or with a rollback journal.
  explicit SqliteTestFile(const std::string& path, bool wal = true);
  ~SqliteTestFile();
  SqliteTestFile(const SqliteTestFile&) = delete;

  // Of denokv's first to third version of the schema.
  void make_schema(int version = 3);
  void run(const std::string& sql);
  // A statement with parameters; each a blob, if it begins with '#' a number, with '$' text.
  void run(const std::string& sql, const std::vector<std::string>& parameters);
  void put(const std::string& key, const std::string& value, int encoding, int64_t version,
           int64_t expire_at_ms = -1);
  // All rows, the values of each in the way of quote(), with a bar between.
  std::vector<std::string> rows(const std::string& sql);

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace tidemark::test
