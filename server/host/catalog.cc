// Records are small and few, so all are read once at opening and kept. Every record starts with a version
// byte; a higher one than this program knows means that a newer version wrote it, and is refused rather than
// guessed.
#include "server/host/catalog.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::host {
namespace {

constexpr uint8_t kRecordVersion = 1;
constexpr char kStoreKey[] = "s";
constexpr char kDatabasePrefix = 'd';
constexpr char kDatabasePrefixEnd[] = "e";
constexpr uint64_t kCatalogMemtableBytes = uint64_t{1} << 20;

std::string database_key(const Uuid& id) {
  return kDatabasePrefix + std::string(id.raw());
}

std::string encode_store(const Uuid& id, const SigningKey& key) {
  std::string out;
  out.push_back(static_cast<char>(kRecordVersion));
  out.append(id.raw());
  out.append(reinterpret_cast<const char*>(key.data()), key.size());
  return out;
}

std::string encode_database(const DatabaseRecord& record) {
  std::string out;
  out.push_back(static_cast<char>(kRecordVersion));
  out.push_back(static_cast<char>(record.state));
  put_le64(out, static_cast<uint64_t>(record.created_at_ms));
  put_bytes(out, record.name);
  return out;
}

Status check_version(uint8_t version) {
  if (version > kRecordVersion) {
    return fail(ErrorCode::kNewerFormat, "the catalog was written by a newer version of this program");
  }
  return {};
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorruption, "the catalog's " + std::string(what) + " cannot be read");
}

Result<DatabaseRecord> decode_database(std::string_view key, std::string_view value) {
  DatabaseRecord record;
  const std::optional<Uuid> id = Uuid::from_raw(key.substr(1));
  ByteReader reader(value);
  TM_TRY(check_version(reader.u8()));
  const uint8_t state = reader.u8();
  record.created_at_ms = static_cast<int64_t>(reader.le64());
  record.name = reader.bytes();
  const bool known_state = state == static_cast<uint8_t>(DatabaseState::kCreating) ||
                           state == static_cast<uint8_t>(DatabaseState::kReady);
  if (!id || !reader.ok() || !reader.at_end() || !known_state) return damaged("record of a database");
  record.id = *id;
  record.state = static_cast<DatabaseState>(state);
  return record;
}

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::open(Engine& engine, const std::string& path, bool may_create) {
  DatabaseOptions options;
  options.create_if_missing = may_create;
  options.retention = Retention::none();
  options.memtable_bytes = kCatalogMemtableBytes;
  TM_ASSIGN(std::unique_ptr<Database> database, Database::open(engine, path, options));
  std::unique_ptr<Catalog> catalog(new Catalog(std::move(database)));

  Status loaded = catalog->load();
  if (!loaded && loaded.error().code == ErrorCode::kNotFound) {
    if (!may_create) return fail(ErrorCode::kCorruption, "the catalog's store record is gone");
    TM_TRY(catalog->create(engine.clock()));
    loaded = catalog->load();
  }
  if (!loaded) return std::unexpected(std::move(loaded).error());
  return catalog;
}

Status Catalog::create(Clock& clock) {
  TM_ASSIGN(const Uuid store_id, random_uuid());
  TM_ASSIGN(const Uuid database_id, random_uuid());
  SigningKey key;
  TM_TRY(random_bytes(key.data(), key.size()));
  const DatabaseRecord record{database_id, DatabaseState::kCreating, clock.wall_us() / 1000,
                              kDefaultDatabaseName};
  return commit(*database_,
                [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
                  transaction.put(kStoreKey, encode_store(store_id, key));
                  transaction.put(database_key(database_id), encode_database(record));
                  return CommitRequest::Decision::kCommit;
                })
      .status;
}

Status Catalog::load_store_record(const ReadView& view) {
  TM_ASSIGN(const std::optional<PinnedValue> found, view.get(kStoreKey));
  if (!found) return fail(ErrorCode::kNotFound, "the catalog has no store record");
  ByteReader reader(found->bytes());
  TM_TRY(check_version(reader.u8()));
  const std::optional<Uuid> id = Uuid::from_raw(reader.raw(16));
  const std::string_view key = reader.raw(signing_key_.size());
  if (!id || !reader.ok() || !reader.at_end()) return damaged("store record");
  store_id_ = *id;
  std::ranges::copy(key, signing_key_.begin());
  return {};
}

Status Catalog::load() {
  const std::unique_ptr<ReadView> view = database_->read();
  TM_TRY(load_store_record(*view));
  const std::string start(1, kDatabasePrefix);
  const std::unique_ptr<Cursor> cursor = view->scan({start, kDatabasePrefixEnd, false});
  for (;;) {
    TM_ASSIGN(const bool more, cursor->next());
    if (!more) return {};
    TM_ASSIGN(DatabaseRecord record, decode_database(cursor->key(), cursor->value()));
    databases_.push_back(std::move(record));
  }
}

Status Catalog::mark_ready(const Uuid& id) {
  const auto place = std::ranges::find(databases_, id, &DatabaseRecord::id);
  TM_CHECK(place != databases_.end());
  DatabaseRecord changed = *place;
  changed.state = DatabaseState::kReady;
  TM_TRY(commit(*database_, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
           transaction.put(database_key(id), encode_database(changed));
           return CommitRequest::Decision::kCommit;
         }).status);
  *place = std::move(changed);
  return {};
}

}  // namespace tidemark::host
