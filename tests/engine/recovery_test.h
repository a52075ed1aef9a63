// What tests of opening share.
#pragma once

#include "engine/base/coding.h"
#include "engine/format/log_record.h"
#include "tests/engine/watched_database.h"

namespace tidemark {

class RecoveryTest : public WatchedDatabaseTest {
 protected:
  const std::string copy_ = folder_ / "copy";

  std::string newest_wal(const std::string& dir) { return dir + "/" + files_ending(dir, ".wal").back(); }

  // Ten commits of one record each, as a crash leaves them; gives where each record begins, and the end of
  // the last.
  std::vector<uint64_t> crash_with_ten_commits(bool close) {
    open(small_options());
    const std::string wal = newest_wal(dir_);
    for (int i = 0; i < 10; ++i)
      EXPECT_TRUE(put(db(), "key/" + std::to_string(i), std::string(20, 'v')).committed);
    if (close) database_.reset();
    copy_folder(dir_, copy_);
    database_.reset();
    const std::string bytes = read_bytes(copy_ + "/" + wal.substr(wal.rfind('/') + 1));
    std::vector<uint64_t> offsets;
    uint64_t at = kLogHeaderBytes;
    while (at + kRecordHeaderBytes <= bytes.size() && load_le32(bytes.data() + at) != 0) {
      offsets.push_back(at);
      at += record_bytes(load_le32(bytes.data() + at + 4));
    }
    offsets.push_back(at);
    return offsets;
  }
  void expect_first(Database& db, int count, const std::string& what) {
    const KeyValues now = contents(db);
    ASSERT_EQ(now.size(), static_cast<size_t>(count)) << what;
    for (int i = 0; i < count; ++i) ASSERT_TRUE(now.contains("key/" + std::to_string(i))) << what;
  }
  // Opens a copy of copy_ in which the log is `bytes`.
  Result<std::unique_ptr<Database>> open_with_log(const std::string& bytes) {
    const std::string dir = folder_ / "damaged";
    copy_folder(copy_, dir);
    write_bytes(newest_wal(dir), bytes);
    return try_open(dir, small_options());
  }
};

}  // namespace tidemark
