// Every record starts with a version byte; a higher one than this program knows means that a newer version
// wrote it, and is refused rather than guessed.
#include "server/host/records.h"

#include <algorithm>

#include "engine/base/coding.h"

namespace tidemark::host {
namespace {

constexpr uint8_t kRecordVersion = 1;
// Of a database's record that has settings behind its name; with what came later.
constexpr uint8_t kSettingsVersion = 2;
constexpr uint8_t kBackupVersion = 3;
constexpr uint8_t kListedDatabases = 0;
constexpr uint8_t kAllDatabases = 1;

Status check_version(uint8_t version) {
  if (version > kRecordVersion) {
    return fail(ErrorCode::kNewerFormat, "the catalog was written by a newer version of this program");
  }
  return {};
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorruption, "the catalog's " + std::string(what) + " cannot be read");
}

std::string start_record() {
  return std::string(1, static_cast<char>(kRecordVersion));
}

template <size_t kSize>
std::string_view view(const std::array<uint8_t, kSize>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

namespace {

constexpr uint8_t kHasRetention = 1;
constexpr uint8_t kHasHistoryMax = 2;
constexpr uint8_t kHasCheckout = 4;
constexpr uint8_t kHasBackup = 8;  // from kBackupVersion on

void put_settings(std::string& out, const DatabaseSettings& settings) {
  out.push_back(static_cast<char>(
      (settings.retention ? kHasRetention : 0) | (settings.history_max_bytes ? kHasHistoryMax : 0) |
      (settings.checkout ? kHasCheckout : 0) | (settings.backup ? kHasBackup : 0)));
  if (settings.retention) {
    out.push_back(static_cast<char>(settings.retention->kind));
    put_le64(out, static_cast<uint64_t>(settings.retention->duration_ms));
  }
  if (settings.history_max_bytes) put_le64(out, *settings.history_max_bytes);
  if (settings.checkout) {
    const auto stamp = settings.checkout->stamp.bytes();
    out.append(stamp.data(), stamp.size());
    put_le64(out, static_cast<uint64_t>(settings.checkout->now_ms));
  }
  if (settings.backup) {
    out.push_back(static_cast<char>(settings.backup->enabled));
    put_bytes(out, settings.backup->target);
    put_bytes(out, settings.backup->as);
  }
}

uint8_t version_for(const DatabaseSettings& settings) {
  if (settings.backup) return kBackupVersion;
  return settings != DatabaseSettings() ? kSettingsVersion : kRecordVersion;
}

// False if it makes no sense.
bool read_settings(ByteReader& reader, DatabaseSettings& settings) {
  const uint8_t has = reader.u8();
  if ((has & ~(kHasRetention | kHasHistoryMax | kHasCheckout | kHasBackup)) != 0) return false;
  if ((has & kHasRetention) != 0) {
    const uint8_t kind = reader.u8();
    const auto ms = static_cast<int64_t>(reader.le64());
    if (kind > static_cast<uint8_t>(Retention::Kind::kForever) || ms < 0) return false;
    settings.retention = Retention{static_cast<Retention::Kind>(kind), ms};
  }
  if ((has & kHasHistoryMax) != 0) settings.history_max_bytes = reader.le64();
  if ((has & kHasCheckout) != 0) {
    const std::string_view stamp = reader.raw(Versionstamp::kBytes);
    const auto now_ms = static_cast<int64_t>(reader.le64());
    if (!reader.ok()) return false;
    settings.checkout = kv::Moment{Versionstamp::from_bytes(stamp.data()), now_ms};
  }
  if ((has & kHasBackup) != 0) {
    BackupSetting& backup = settings.backup.emplace();
    const uint8_t enabled = reader.u8();
    if (enabled > 1) return false;
    backup.enabled = enabled == 1;
    backup.target = reader.bytes();
    backup.as = reader.bytes();
  }
  return reader.ok();
}

}  // namespace

std::string database_key(const Uuid& id) {
  return kDatabasePrefix + std::string(id.raw());
}

std::string token_key(TokenId id) {
  std::string key(1, kTokenPrefix);
  put_le64(key, id.number);
  return key;
}

std::string encode(const StoreRecord& record) {
  std::string out = start_record();
  out.append(record.id.raw());
  out.append(view(record.signing_key));
  return out;
}

std::string encode(const DatabaseRecord& record) {
  std::string out = start_record();
  out.front() = static_cast<char>(version_for(record.settings));
  out.push_back(static_cast<char>(record.state));
  put_le64(out, static_cast<uint64_t>(record.created_at_ms));
  put_le64(out, static_cast<uint64_t>(record.deleted_at_ms));
  put_bytes(out, record.name);
  if (record.settings != DatabaseSettings()) put_settings(out, record.settings);
  return out;
}

std::string encode(const TokenRecord& record) {
  std::string out = start_record();
  out.append(view(record.hash));
  put_le64(out, static_cast<uint64_t>(record.created_at_ms));
  out.push_back(static_cast<char>(record.grant.rights));
  out.push_back(static_cast<char>(record.grant.all_databases ? kAllDatabases : kListedDatabases));
  put_varint(out, record.grant.databases.size());
  for (const Uuid& database : record.grant.databases) out.append(database.raw());
  put_bytes(out, record.label);
  return out;
}

Result<StoreRecord> decode_store(std::string_view value) {
  StoreRecord record;
  ByteReader reader(value);
  TM_TRY(check_version(reader.u8()));
  const std::optional<Uuid> id = Uuid::from_raw(reader.raw(16));
  const std::string_view key = reader.raw(record.signing_key.size());
  if (!id || !reader.ok() || !reader.at_end()) return damaged("store record");
  record.id = *id;
  std::ranges::copy(key, record.signing_key.begin());
  return record;
}

Result<DatabaseRecord> decode_database(std::string_view key, std::string_view value) {
  DatabaseRecord record;
  const std::optional<Uuid> id = Uuid::from_raw(key.substr(1));
  ByteReader reader(value);
  const uint8_t version = reader.u8();
  const bool has_settings = version == kSettingsVersion || version == kBackupVersion;
  if (!has_settings) TM_TRY(check_version(version));
  const uint8_t state = reader.u8();
  record.created_at_ms = static_cast<int64_t>(reader.le64());
  record.deleted_at_ms = static_cast<int64_t>(reader.le64());
  record.name = reader.bytes();
  if (has_settings && !read_settings(reader, record.settings)) return damaged("record of a database");
  const bool known_state = state >= static_cast<uint8_t>(DatabaseState::kCreating) &&
                           state <= static_cast<uint8_t>(DatabaseState::kPurging);
  if (!id || !reader.ok() || !reader.at_end() || !known_state) return damaged("record of a database");
  record.id = *id;
  record.state = static_cast<DatabaseState>(state);
  return record;
}

Result<TokenRecord> decode_token(std::string_view key, std::string_view value) {
  TokenRecord record;
  ByteReader key_reader(key.substr(1));
  record.grant.token.number = key_reader.le64();
  ByteReader reader(value);
  TM_TRY(check_version(reader.u8()));
  const std::string_view hash = reader.raw(record.hash.size());
  record.created_at_ms = static_cast<int64_t>(reader.le64());
  const uint8_t rights = reader.u8();
  const uint8_t scope = reader.u8();
  for (uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    if (const auto id = Uuid::from_raw(reader.raw(16))) record.grant.databases.push_back(*id);
  }
  record.label = reader.bytes();
  const bool known = (rights == static_cast<uint8_t>(Rights::kReadWrite) ||
                      rights == static_cast<uint8_t>(Rights::kReadOnly)) &&
                     (scope == kListedDatabases || scope == kAllDatabases);
  if (!key_reader.ok() || !key_reader.at_end() || !reader.ok() || !reader.at_end() || !known) {
    return damaged("record of a token");
  }
  std::ranges::copy(hash, record.hash.begin());
  record.grant.rights = static_cast<Rights>(rights);
  record.grant.all_databases = scope == kAllDatabases;
  return record;
}

}  // namespace tidemark::host
