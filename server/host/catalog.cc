// Records are small and few, so all are read once at opening and kept.
#include "server/host/catalog.h"

#include <algorithm>

#include "engine/io/entropy.h"
#include "server/host/database_name.h"

namespace tidemark::host {
namespace {

constexpr uint64_t kCatalogMemtableBytes = uint64_t{1} << 20;

// Calls `take` with key and value of each record whose key starts with `prefix`.
template <class F>
Status for_each(const ReadView& view, char prefix, F&& take) {
  const std::string start(1, prefix);
  const std::string end(1, static_cast<char>(prefix + 1));
  const std::unique_ptr<Cursor> cursor = view.scan({start, end, false});
  for (;;) {
    TM_ASSIGN(const bool more, cursor->next());
    if (!more) return {};
    TM_TRY(take(cursor->key(), cursor->value()));
  }
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
  StoreRecord store;
  store.id = random_uuid();
  std::ranges::copy(random_bytes(store.signing_key.size()), store.signing_key.begin());
  DatabaseRecord first;
  first.id = random_uuid();
  first.created_at_ms = clock.wall_us() / 1000;
  first.name = kDefaultDatabaseName;
  return commit(*database_,
                [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
                  transaction.put(kStoreKey, encode(store));
                  transaction.put(database_key(first.id), encode(first));
                  return CommitRequest::Decision::kCommit;
                })
      .status;
}

Status Catalog::load_store(const ReadView& view) {
  TM_ASSIGN(const std::optional<PinnedValue> found, view.get(kStoreKey));
  if (!found) return fail(ErrorCode::kNotFound, "the catalog has no store record");
  TM_ASSIGN(store_, decode_store(found->bytes()));
  return {};
}

Status Catalog::load() {
  const std::unique_ptr<ReadView> view = database_->read();
  TM_TRY(load_store(*view));
  TM_TRY(for_each(*view, kDatabasePrefix, [this](std::string_view key, std::string_view value) -> Status {
    TM_ASSIGN(DatabaseRecord record, decode_database(key, value));
    databases_.push_back(std::move(record));
    return {};
  }));
  return for_each(*view, kTokenPrefix, [this](std::string_view key, std::string_view value) -> Status {
    TM_ASSIGN(TokenRecord record, decode_token(key, value));
    tokens_.push_back(std::move(record));
    return {};
  });
}

Status Catalog::write(const std::string& key, const std::string& value) {
  return commit(*database_,
                [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
                  transaction.put(key, value);
                  return CommitRequest::Decision::kCommit;
                })
      .status;
}

Status Catalog::erase_key(const std::string& key) {
  return commit(*database_,
                [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
                  transaction.erase(key);
                  return CommitRequest::Decision::kCommit;
                })
      .status;
}

Status Catalog::put(const DatabaseRecord& record) {
  TM_TRY(write(database_key(record.id), encode(record)));
  const auto place = std::ranges::find(databases_, record.id, &DatabaseRecord::id);
  if (place == databases_.end()) {
    databases_.push_back(record);
  } else {
    *place = record;
  }
  return {};
}

Status Catalog::put(const TokenRecord& record) {
  TM_TRY(write(token_key(record.grant.token), encode(record)));
  std::erase_if(tokens_, [&](const TokenRecord& one) { return one.grant.token == record.grant.token; });
  tokens_.push_back(record);
  return {};
}

Status Catalog::erase(const Uuid& database) {
  TM_TRY(erase_key(database_key(database)));
  std::erase_if(databases_, [&](const DatabaseRecord& one) { return one.id == database; });
  return {};
}

Status Catalog::erase(TokenId token) {
  TM_TRY(erase_key(token_key(token)));
  std::erase_if(tokens_, [&](const TokenRecord& one) { return one.grant.token == token; });
  return {};
}

}  // namespace tidemark::host
