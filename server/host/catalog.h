// What a store knows about itself: its id, the key that signs data-path tokens, which databases it holds, and
// the tokens that open them. Kept in an engine database of its own, so it has its durability, its recovery
// and its lock, which guards the whole data folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/database.h"
#include "server/host/records.h"

namespace tidemark::host {

// One thread at a time.
class Catalog {
 public:
  // Opens the catalog in folder `path`. One without a store record, as a new one is, gets it, with a record
  // of the database `default`, in one commit, if `may_create`; else it is kCorruption: the record was there
  // once. Other errors: those of Database::open.
  static Result<std::unique_ptr<Catalog>> open(Engine& engine, const std::string& path, bool may_create);

  const Uuid& store_id() const { return store_.id; }
  const SigningKey& signing_key() const { return store_.signing_key; }
  const std::vector<DatabaseRecord>& databases() const { return databases_; }
  const std::vector<TokenRecord>& tokens() const { return tokens_; }

  // Each is durable when it returns, and changes nothing that is seen here if it fails.
  // Adds the record, or replaces the one with its id.
  Status put(const DatabaseRecord& record);
  Status put(const TokenRecord& record);
  // Nothing happens if there is no such record.
  Status erase(const Uuid& database);
  Status erase(TokenId token);

  Status close() { return database_->close(); }

 private:
  explicit Catalog(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  Status create(Clock& clock);
  Status load();
  // kNotFound if there is no store record.
  Status load_store(const ReadView& view);
  Status write(const std::string& key, const std::string& value);
  Status erase_key(const std::string& key);

  std::unique_ptr<Database> database_;
  StoreRecord store_;
  std::vector<DatabaseRecord> databases_;
  std::vector<TokenRecord> tokens_;
};

}  // namespace tidemark::host
