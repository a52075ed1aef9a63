// Checks a whole store: the catalog, every database of its own, and that the one agrees with the others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/io/file_system.h"
#include "engine/verify/verify.h"
#include "server/host/records.h"

namespace tidemark::tools {

// The sorts of findings beyond those of engine/verify/finding.h.
inline constexpr verify::FindingKind kCatalogRecord = {
    "catalog-record", verify::Severity::kMajor,
    "The store does not open, or a database or token of it is not known."};
inline constexpr verify::FindingKind kDatabaseMissing = {
    "database-missing", verify::Severity::kMajor, "The database does not open; what was in it is lost."};
inline constexpr verify::FindingKind kDatabaseUnknown = {
    "database-unknown", verify::Severity::kMajor,
    "Nobody can reach what is in it; its record may have been lost."};
inline constexpr verify::FindingKind kEntryMalformed = {"entry-malformed", verify::Severity::kMajor,
                                                        "Reading this entry fails."};
inline constexpr verify::FindingKind kExpiryUnindexed = {
    "expiry-unindexed", verify::Severity::kMinor,
    "It is hidden from readers when it expires, but never deleted."};

// What a folder holds.
enum class FolderKind : uint8_t { kStore, kEngineDatabase };
// A folder of neither kind is kNotFound.
Result<FolderKind> folder_kind(FileSystem& fs, const std::string& dir);

std::string catalog_dir(const std::string& data_dir);
std::string database_dir(const std::string& data_dir, const host::Uuid& id);

// The lock of the folder's owner, for as long as the result lives; nullptr if there is nobody to keep out:
// the lock's file is missing, or cannot be opened here. Writes nothing. kLocked: the store is being served.
Result<std::unique_ptr<FileLock>> lock_for_reading(FileSystem& fs, const std::string& dir, FolderKind kind);

struct StoreCheckOptions {
  bool deep = false;
  std::optional<std::string> database;  // only this one, by name or id; the catalog is checked in any case
  verify::FindingSink findings;
  verify::ProgressSink progress;  // of one database after the other
};

struct CheckedDatabase {
  std::string name;  // of the store's database; "catalog"; or empty if not known
  std::string dir;
  verify::VerifySummary summary;
};

struct StoreCheckSummary {
  std::vector<CheckedDatabase> databases;  // the catalog first
  uint64_t minor = 0;
  uint64_t major = 0;
};

// Errors: kNotFound (no store, or no database of that name), kLocked, kIo: then nothing is known of the
// store.
Result<StoreCheckSummary> check_store(FileSystem& fs, const std::string& dir,
                                      const StoreCheckOptions& options);

}  // namespace tidemark::tools
