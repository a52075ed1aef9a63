// The engine takes entries in the order of their keys. SQLite keeps each of the three parts of the keyspace
// in its order already: the index by expiry ends in the keys, the queue's tables have their time first, and
// entries lie in key order. So the parts are read one after the other, and nothing is sorted or kept.
//
// Whether the database is still as new as it was is looked at once more when nothing can be committed in
// between any more.
#include "tools/sqlite_import.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "server/kv/keyspace.h"
#include "server/kv/queue_message.h"
#include "server/kv/stored_value.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

// What denokv lets a client write, and the versionstamp that may come behind it.
constexpr size_t kMaxKeyBytes = 2048 + 22;

Result<json::value> parse_json(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error) return fail(ErrorCode::kCorruption, "");
  return value;
}

// Whole numbers up to `max`; `null` and an empty text are none.
Result<std::vector<uint64_t>> numbers_of(const json::value& value, uint64_t max) {
  std::vector<uint64_t> out;
  if (value.is_null()) return out;
  const json::array* array = value.if_array();
  if (array == nullptr) return fail(ErrorCode::kCorruption, "");
  for (const json::value& one : *array) {
    json::error_code error;
    const auto number = one.to_number<uint64_t>(error);
    if (error || one.is_double() || number > max) return fail(ErrorCode::kCorruption, "");
    out.push_back(number);
  }
  return out;
}

Result<std::vector<uint32_t>> parse_schedule(std::string_view text) {
  if (text.empty()) return std::vector<uint32_t>();
  TM_ASSIGN(const json::value value, parse_json(text));
  TM_ASSIGN(const std::vector<uint64_t> numbers, numbers_of(value, UINT32_MAX));
  return std::vector<uint32_t>(numbers.begin(), numbers.end());
}

Result<std::vector<std::string>> parse_keys(std::string_view text) {
  std::vector<std::string> keys;
  if (text.empty()) return keys;
  TM_ASSIGN(const json::value value, parse_json(text));
  if (value.is_null()) return keys;
  const json::array* array = value.if_array();
  if (array == nullptr) return fail(ErrorCode::kCorruption, "");
  for (const json::value& one : *array) {
    TM_ASSIGN(const std::vector<uint64_t> bytes, numbers_of(one, UINT8_MAX));
    std::string key;
    for (const uint64_t byte : bytes) key.push_back(static_cast<char>(byte));
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

Status check_never_written(const Database& database, std::string_view name) {
  if (database.durable() == Versionstamp::min()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "the database '" + std::string(name) +
                  "' has been written to, and an import needs a new one: name another with --database, or "
                  "delete this one first (tidemark db delete " +
                  std::string(name) + ")");
}

Result<std::unique_ptr<SqliteImport>> SqliteImport::open(const std::string& path,
                                                         const TransferProgress& progress) {
  std::unique_ptr<SqliteImport> import(new SqliteImport(path, progress));
  TM_ASSIGN(import->file_, SqliteFile::open(path));
  TM_TRY(import->look());
  import->file_->set_watcher([it = import.get()] {
    return it->pacer_.tick([it] {
      return it->doing_ + std::to_string(it->counts_.entries) + " entries, " +
             std::to_string(it->counts_.messages) + " messages";
    });
  });
  return import;
}

// From here on everything is read from one moment.
Status SqliteImport::look() {
  TM_TRY(file_->begin_read());
  const auto has = [&](const std::string& what) -> Result<bool> {
    TM_ASSIGN(const int64_t count, file_->read_integer("select count(*) from " + what));
    return count > 0;
  };
  const auto has_table = [&](const std::string& name) {
    return has("sqlite_schema where type in ('table', 'view') and name = '" + name + "'");
  };
  const auto has_column = [&](const std::string& name) {
    return has("pragma_table_info('kv') where name = '" + name + "'");
  };
  TM_ASSIGN(const bool has_entries, has_table("kv"));
  TM_ASSIGN(const bool has_version, has_table("data_version"));
  bool whole = has_entries && has_version;
  for (const char* column : {"k", "v", "v_encoding", "version"}) {
    TM_ASSIGN(const bool there, has_column(column));
    whole = whole && there;
  }
  if (!whole) {
    return fail(
        ErrorCode::kInvalidArgument,
        path_ + " is a SQLite file, but none of denokv's or the Deno CLI's: it lacks the tables of Deno KV");
  }
  TM_ASSIGN(const bool has_schema, has_table("migration_state"));
  if (has_schema) {
    TM_ASSIGN(const int64_t schema,
              file_->read_integer("select coalesce(max(version), 0) from migration_state"));
    if (schema > kSqliteSchemaVersion) {
      return fail(ErrorCode::kNewerFormat, path_ + " has schema version " + std::to_string(schema) +
                                               ", which is newer than the " +
                                               std::to_string(kSqliteSchemaVersion) + " known here");
    }
  }
  TM_ASSIGN(has_expiry_, has_column("expiration_ms"));
  TM_ASSIGN(has_queue_, has_table("queue"));
  TM_ASSIGN(has_running_, has_table("queue_running"));
  return {};
}

Status SqliteImport::verify() {
  doing_ = "checking the file: ";
  TM_ASSIGN(SqliteStatement check, file_->prepare("pragma quick_check(1)"));
  TM_ASSIGN(const bool row, check.step());
  const std::string found(row ? check.bytes(0) : "");
  if (found == "ok") return {};
  // What was found stands in the last line.
  return file_->damaged(found.substr(found.rfind('\n') + 1));
}

// A commit of expiries counts on its own, so the entries' may lie behind; nothing may lie above.
Result<int64_t> SqliteImport::newest_version() {
  TM_ASSIGN(const int64_t own,
            file_->read_integer("select coalesce(max(version), 0) from data_version where k = 0"));
  TM_ASSIGN(const int64_t entries, file_->read_integer("select coalesce(max(version), 0) from kv"));
  const int64_t newest = std::max<int64_t>({own, entries, 0});
  return newest;
}

Status SqliteImport::add(Ingest& ingest, std::string_view key, Versionstamp stamp, std::string_view value) {
  Status added = ingest.add(key, stamp, value);
  if (!added && added.error().code == ErrorCode::kInvalidArgument)
    return file_->damaged(added.error().message);
  return added;
}

Status SqliteImport::add_expiry_index(Ingest& ingest, int64_t now_ms) {
  if (!has_expiry_) return {};
  TM_ASSIGN(SqliteStatement rows, file_->prepare("select expiration_ms, k from kv where expiration_ms > ? "
                                                 "order by expiration_ms, k"));
  rows.bind(1, std::max<int64_t>(now_ms, 0));
  for (;;) {
    TM_ASSIGN(const bool more, rows.step());
    if (!more) return {};
    if (!rows.is_integer(0) || !rows.is_blob(1)) return file_->damaged("an entry is of the wrong type");
    const int64_t expire_at_ms = rows.integer(0);
    std::string key = kv::expiry_key_from(expire_at_ms);
    key += rows.bytes(1);
    TM_TRY(add(ingest, key, counts_.head, ""));
    if (counts_.expiring++ == 0) counts_.earliest_expiry_ms = expire_at_ms;
  }
}

// In the order of delivery; one that was being delivered when the file was left is delivered again when its
// deadline has passed, with its whole schedule.
Status SqliteImport::add_messages(Ingest& ingest) {
  const std::string columns = ", id, data, backoff_schedule, keys_if_undelivered, ";
  std::string sql;
  if (has_queue_) sql = "select ts" + columns + "0 from queue";
  if (has_running_)
    sql += (sql.empty() ? "" : " union all ") + ("select deadline" + columns) + "1 from queue_running";
  if (sql.empty()) return {};
  TM_ASSIGN(SqliteStatement rows, file_->prepare(sql + " order by 1, 2"));
  std::string message;
  for (;;) {
    TM_ASSIGN(const bool more, rows.step());
    if (!more) return {};
    if (!rows.is_integer(0) || !rows.is_bytes(2) || !rows.is_bytes(3) || !rows.is_bytes(4))
      return file_->damaged("a queued message is of the wrong type");
    const auto schedule = parse_schedule(rows.bytes(3));
    const auto keys = parse_keys(rows.bytes(4));
    if (!schedule || !keys || counts_.messages > UINT32_MAX) {
      return file_->damaged("the queued message " + std::string(rows.bytes(1)) +
                            " has a schedule or keys that cannot be read");
    }
    kv::Enqueue enqueue;
    enqueue.payload = rows.bytes(2);
    enqueue.backoff_schedule_ms = *schedule;
    enqueue.keys_if_undelivered.assign(keys->begin(), keys->end());
    message.clear();
    kv::append_queue_message(message, enqueue);
    const int64_t deliver_at_ms = std::max<int64_t>(rows.integer(0), 0);
    TM_TRY(add(ingest, kv::queue_key(deliver_at_ms, counts_.head, static_cast<uint32_t>(counts_.messages)),
               counts_.head, message));
    ++counts_.messages;
    if (rows.integer(5) != 0) ++counts_.being_delivered;
  }
}

Status SqliteImport::add_entries(Ingest& ingest, int64_t now_ms) {
  TM_ASSIGN(SqliteStatement rows,
            file_->prepare(std::string("select k, v, v_encoding, version, ") +
                           (has_expiry_ ? "expiration_ms" : "-1") + " from kv order by k"));
  std::string stored;
  std::string engine_key(1, kv::kUserPrefix);
  for (;;) {
    TM_ASSIGN(const bool more, rows.step());
    if (!more) return {};
    if (!rows.is_blob(0) || !rows.is_blob(1) || !rows.is_integer(2) || !rows.is_integer(3) ||
        !rows.is_integer(4))
      return file_->damaged("an entry is of the wrong type");
    const std::string_view key = rows.bytes(0);
    kv::StoredValue value;
    value.data = rows.bytes(1);
    const int64_t encoding = rows.integer(2);
    const int64_t version = rows.integer(3);
    const int64_t expire_at_ms = rows.integer(4);
    if (key.size() > kMaxKeyBytes)
      return file_->damaged("a key has " + std::to_string(key.size()) + " bytes");
    if (version < 1) return file_->damaged("an entry has the version " + std::to_string(version));
    if (encoding < static_cast<int64_t>(kv::Encoding::kV8) ||
        encoding > static_cast<int64_t>(kv::Encoding::kBytes)) {
      return file_->damaged("a value has the encoding " + std::to_string(encoding) + ", which is unknown");
    }
    value.encoding = static_cast<kv::Encoding>(encoding);
    if (value.encoding == kv::Encoding::kLe64 && value.data.size() != kv::kLe64Bytes)
      return file_->damaged("a KvU64 has " + std::to_string(value.data.size()) + " bytes");
    if (expire_at_ms >= 0) {
      if (expire_at_ms <= now_ms) {
        ++counts_.expired;
        continue;
      }
      value.expire_at_ms = expire_at_ms;
    }
    stored.clear();
    kv::append_stored_value(stored, value);
    engine_key.resize(1);
    engine_key += key;
    TM_TRY(add(ingest, engine_key, {static_cast<uint64_t>(version), 0}, stored));
    ++counts_.entries;
    counts_.bytes += key.size() + value.data.size();
  }
}

Result<SqliteImportCounts> SqliteImport::run(Database& database, int64_t now_ms) {
  doing_ = "importing: ";
  TM_ASSIGN(const int64_t newest, newest_version());
  counts_.head = {static_cast<uint64_t>(newest), 0};
  const std::unique_ptr<Ingest> ingest = database.begin_ingest({.starts_history = true});
  TM_TRY(add_expiry_index(*ingest, now_ms));
  TM_TRY(add_messages(*ingest));
  TM_TRY(add_entries(*ingest, now_ms));
  TM_TRY(file_->check_unchanged());
  if (counts_.entries + counts_.messages == 0) {
    counts_.head = database.head();
    return counts_;
  }
  const CommitOutcome outcome = ingest->publish(
      [&](const CommitPoint& head, const CommitPoint& next) -> Result<std::optional<CommitPoint>> {
        if (head.stamp != Versionstamp::min())
          return fail(ErrorCode::kInvalidArgument, "the database was written to while the file was read");
        return CommitPoint{counts_.head, next.timestamp_ms};
      });
  if (!outcome.status) return std::unexpected(outcome.status.error());
  return counts_;
}

}  // namespace tidemark::tools
