// What a store knows about itself: its id, the key that signs data-path tokens, and which databases it holds.
// Kept in an engine database of its own, so it has its durability, its recovery and its lock, which guards
// the whole data folder. The records are described in docs/formats/keyspace.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/database.h"
#include "server/host/data_token.h"
#include "server/host/uuid.h"

namespace tidemark::host {

inline constexpr char kDefaultDatabaseName[] = "default";

// Stored; do not change.
enum class DatabaseState : uint8_t {
  kCreating = 1,  // recorded, but its folder may be missing or half made
  kReady = 2,     // its folder was made: if it is missing now, data was lost
};

struct DatabaseRecord {
  Uuid id;
  DatabaseState state = DatabaseState::kCreating;
  int64_t created_at_ms = 0;  // since 1970
  std::string name;
};

// One thread at a time.
class Catalog {
 public:
  // Opens the catalog in folder `path`. One without a store record, as a new one is, gets it, with a record
  // of the database `default`, in one commit, if `may_create`; else it is kCorruption: the record was there
  // once. Other errors: those of Database::open.
  static Result<std::unique_ptr<Catalog>> open(Engine& engine, const std::string& path, bool may_create);

  const Uuid& store_id() const { return store_id_; }
  const SigningKey& signing_key() const { return signing_key_; }
  const std::vector<DatabaseRecord>& databases() const { return databases_; }

  // Makes it durable that this database's folder exists. REQUIRES: there is such a database.
  Status mark_ready(const Uuid& id);

  Status close() { return database_->close(); }

 private:
  explicit Catalog(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  Status create(Clock& clock);
  Status load();
  // kNotFound if there is no store record.
  Status load_store_record(const ReadView& view);

  std::unique_ptr<Database> database_;
  Uuid store_id_;
  SigningKey signing_key_{};
  std::vector<DatabaseRecord> databases_;
};

}  // namespace tidemark::host
