// Entries come in key order, which is the order of SQLite's table, so it is filled from left to right; the
// index by expiry is made behind them, which SQLite sorts on disk. The file has no journal and no syncs while
// it is made: it counts only when it gets its name, and is synced before that.
#include "tools/sqlite_export.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "engine/base/hex.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/queue_message.h"
#include "server/kv/stored_value.h"
#include "tools/sqlite_file.h"

namespace tidemark::tools {
namespace {

template <class Numbers, class Append>
std::string json_array(const Numbers& numbers, const Append& append) {
  std::string out = "[";
  for (const auto& one : numbers) {
    if (out.size() > 1) out += ',';
    append(out, one);
  }
  return out + "]";
}

std::string json_schedule(const std::vector<uint32_t>& ms) {
  return json_array(ms, [](std::string& out, uint32_t one) { out += std::to_string(one); });
}

std::string json_keys(const std::vector<std::string_view>& keys) {
  return json_array(keys, [](std::string& out, std::string_view key) {
    out += json_array(
        key, [](std::string& bytes, char byte) { bytes += std::to_string(static_cast<uint8_t>(byte)); });
  });
}

std::string hex32(uint32_t number) {
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4) out += kHexDigits[number >> shift & 15];
  return out;
}

std::unexpected<Error> exists_already(const std::string& path) {
  return fail(ErrorCode::kInvalidArgument, path + " exists already: an export makes a new file");
}

class Export {
 public:
  Export(Database& database, const Snapshot& snapshot, int64_t now_ms, const TransferProgress& progress)
      : database_(database), snapshot_(snapshot), now_ms_(now_ms), pacer_(progress) {}

  Status write(SqliteFile& file) {
    file.set_watcher([this] { return tick(); });
    TM_TRY(file.execute("begin"));
    TM_TRY(file.execute(kSqliteSchema));
    TM_TRY(write_version(file));
    TM_TRY(write_entries(file));
    TM_TRY(file.execute(kSqliteExpiryIndex));
    TM_TRY(write_messages(file));
    return file.execute("commit");
  }
  SqliteExportCounts& counts() { return counts_; }

 private:
  Status tick() {
    return pacer_.tick([this] {
      return "exporting: " + std::to_string(counts_.entries) + " entries, " +
             std::to_string(counts_.messages) + " messages";
    });
  }

  static Result<int64_t> version_of(Versionstamp stamp) {
    if (stamp.number > static_cast<uint64_t>(INT64_MAX)) {
      return fail(ErrorCode::kInvalidArgument,
                  "the versionstamp " + stamp.hex() + " is above what a SQLite file has room for");
    }
    return static_cast<int64_t>(stamp.number);
  }

  Status write_version(SqliteFile& file) {
    TM_ASSIGN(SqliteStatement insert, file.prepare("insert into data_version values (0, ?, 0)"));
    TM_ASSIGN(const int64_t version, version_of(snapshot_.versionstamp()));
    insert.bind(1, version);
    return insert.run();
  }

  Status write_entries(SqliteFile& file) {
    TM_ASSIGN(SqliteStatement insert, file.prepare("insert into kv values (?, ?, ?, ?, 0, ?)"));
    kv::KeyspaceScan scan(database_, snapshot_, kv::part_range(kv::kUserPrefix));
    for (;;) {
      TM_ASSIGN(const bool more, scan.next());
      if (!more) return {};
      TM_TRY(tick());
      TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(scan.value()));
      if (value.expired_at(now_ms_)) {
        ++counts_.expired;
        continue;
      }
      TM_ASSIGN(const int64_t version, version_of(scan.versionstamp()));
      const std::string_view key = scan.key().substr(1);
      insert.bind_blob(1, key);
      insert.bind_blob(2, value.data);
      insert.bind(3, static_cast<int64_t>(value.encoding));
      insert.bind(4, version);
      insert.bind(5, value.expire_at_ms == 0 ? -1 : value.expire_at_ms);
      TM_TRY(insert.run());
      ++counts_.entries;
      counts_.bytes += key.size() + value.data.size();
      if (scan.versionstamp().tail != 0) ++counts_.cut_versionstamps;
    }
  }

  // A message's id says which commit enqueued it, and as which of its messages: no two have the same.
  Status write_messages(SqliteFile& file) {
    TM_ASSIGN(SqliteStatement insert, file.prepare("insert into queue values (?, ?, ?, ?, ?)"));
    kv::KeyspaceScan scan(database_, snapshot_, kv::part_range(kv::kQueuePrefix));
    for (;;) {
      TM_ASSIGN(const bool more, scan.next());
      if (!more) return {};
      TM_TRY(tick());
      TM_ASSIGN(const kv::QueueKey key, kv::parse_queue_key(scan.key()));
      TM_ASSIGN(const kv::Enqueue message, kv::parse_queue_message(scan.value()));
      const std::string id = key.enqueued.hex() + "-" + hex32(key.index);
      const std::string schedule = json_schedule(message.backoff_schedule_ms);
      const std::string keys = json_keys(message.keys_if_undelivered);
      insert.bind(1, key.deliver_at_ms);
      insert.bind_text(2, id);
      insert.bind_blob(3, message.payload);
      insert.bind_text(4, schedule);
      insert.bind_text(5, keys);
      TM_TRY(insert.run());
      ++counts_.messages;
    }
  }

  Database& database_;
  const Snapshot& snapshot_;
  const int64_t now_ms_;
  ProgressPacer pacer_;
  SqliteExportCounts counts_;
};

// Gives the finished file its name, unless that is taken by now.
Status publish(FileSystem& file_system, const std::string& partial, const std::string& path) {
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return exists_already(path);
    if (errno != EINVAL && errno != ENOSYS)
      return fail(ErrorCode::kIo, path + ": " + std::generic_category().message(errno));
    // The file system has no such call.
    TM_ASSIGN(const bool taken, file_system.exists(path));
    if (taken) return exists_already(path);
    TM_TRY(file_system.rename(partial, path));
  }
  return file_system.sync_dir(parent_dir(path));
}

}  // namespace

Result<SqliteExportCounts> export_sqlite(Database& database, const Snapshot& snapshot, int64_t now_ms,
                                         FileSystem& file_system, const std::string& path,
                                         const TransferProgress& progress) {
  TM_ASSIGN(const bool taken, file_system.exists(path));
  if (taken) return exists_already(path);
  const std::string partial = path + ".partial";
  TM_ASSIGN(std::unique_ptr<SqliteFile> file, SqliteFile::create(partial));
  Export work(database, snapshot, now_ms, progress);
  Status written = work.write(*file);
  file.reset();
  if (written) {
    written = [&]() -> Status {
      TM_ASSIGN(const std::unique_ptr<File> synced, file_system.open(partial, OpenMode::kReadWrite));
      TM_ASSIGN(work.counts().file_bytes, synced->size());
      TM_TRY(synced->sync_data());
      return publish(file_system, partial, path);
    }();
  }
  if (!written) {
    (void)file_system.remove(partial).has_value();
    return std::unexpected(written.error());
  }
  return work.counts();
}

}  // namespace tidemark::tools
