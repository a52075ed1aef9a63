// The records of the catalog, and their bytes (docs/formats/keyspace.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/options.h"
#include "server/host/access_token.h"
#include "server/host/data_token.h"
#include "server/host/grant.h"
#include "server/host/uuid.h"
#include "server/kv/moment.h"

namespace tidemark::host {

struct StoreRecord {
  Uuid id;
  SigningKey signing_key{};
};

// Stored; do not change.
enum class DatabaseState : uint8_t {
  kCreating = 1,  // recorded, but its folder may be missing or half made
  kReady = 2,     // its folder was made: if it is missing now, data was lost
  kDeleted = 3,   // opens no more, may be brought back
  kPurging = 4,   // some of its folder may be gone; it cannot be brought back
};

// Whether a database is backed up, whatever the server is told.
struct BackupSetting {
  bool enabled = false;
  std::string target;  // if enabled: where to, as server/backup/target.h has it; empty: as the server is told
  std::string as;      // the id that the backup has it under; empty: its own

  bool operator==(const BackupSetting&) const = default;
};

// Of one database, where it differs from the others.
struct DatabaseSettings {
  std::optional<Retention> retention;
  std::optional<uint64_t> history_max_bytes;
  std::optional<kv::Moment> checkout;  // what a store that is served read-only shows of it
  std::optional<BackupSetting> backup;

  bool operator==(const DatabaseSettings&) const = default;
};

struct DatabaseRecord {
  Uuid id;
  DatabaseState state = DatabaseState::kCreating;
  int64_t created_at_ms = 0;  // since 1970
  int64_t deleted_at_ms = 0;  // since 1970; 0 unless kDeleted or kPurging
  std::string name;           // unique among those that are neither kDeleted nor kPurging
  DatabaseSettings settings;

  bool gone() const { return state == DatabaseState::kDeleted || state == DatabaseState::kPurging; }
};

struct TokenRecord {
  Grant grant;
  TokenHash hash{};
  int64_t created_at_ms = 0;  // since 1970
  std::string label;          // for people
};

// Keys: of the store's record, and prefixes of the others.
inline constexpr char kStoreKey[] = "s";
inline constexpr char kDatabasePrefix = 'd';
inline constexpr char kTokenPrefix = 't';

std::string database_key(const Uuid& id);
std::string token_key(TokenId id);

std::string encode(const StoreRecord& record);
std::string encode(const DatabaseRecord& record);
std::string encode(const TokenRecord& record);

// kNewerFormat if a newer version of this program wrote it, kCorruption if it makes no sense.
Result<StoreRecord> decode_store(std::string_view value);
Result<DatabaseRecord> decode_database(std::string_view key, std::string_view value);
Result<TokenRecord> decode_token(std::string_view key, std::string_view value);

}  // namespace tidemark::host
