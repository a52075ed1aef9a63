#include "tools/store_check.h"

#include <algorithm>
#include <set>

#include "engine/verify/reporter.h"
#include "server/host/database_name.h"
#include "server/host/host.h"
#include "server/kv/entry_check.h"

namespace tidemark::tools {
namespace {

using host::DatabaseRecord;
using host::DatabaseState;
using verify::Finding;
using verify::VersionView;

constexpr char kDatabasesDir[] = "/databases";

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

struct Catalog {
  std::vector<DatabaseRecord> databases;
  bool store_record = false;
  bool whole = true;
};

class StoreCheck {
 public:
  StoreCheck(FileSystem& fs, const std::string& dir, const StoreCheckOptions& options)
      : fs_(fs),
        dir_(dir),
        options_(options),
        reporter_([this](const Finding& finding) { tell(finding); }, nullptr) {}

  Result<StoreCheckSummary> run() {
    TM_ASSIGN(const FolderKind kind, folder_kind(fs_, dir_));
    TM_ASSIGN(const auto lock, lock_for_reading(fs_, dir_, kind));
    if (kind == FolderKind::kEngineDatabase) {
      if (options_.database)
        return fail(ErrorCode::kNotFound, dir_ + " is the folder of one database, not a store");
      TM_TRY(check_database("", dir_, nullptr));
    } else {
      TM_TRY(check_all());
    }
    reporter_.finish();
    return std::move(summary_);
  }

 private:
  void tell(const Finding& finding) {
    ++(finding.kind.severity == verify::Severity::kMajor ? summary_.major : summary_.minor);
    if (options_.findings) options_.findings(finding);
  }

  Status check_database(std::string name, const std::string& dir, verify::VersionSink versions) {
    verify::VerifyOptions options;
    options.deep = options_.deep;
    options.versions = std::move(versions);
    options.findings = [this](const Finding& finding) { tell(finding); };
    options.progress = options_.progress;
    TM_ASSIGN(auto summary, verify::verify_database(fs_, dir, options));
    summary_.databases.push_back({std::move(name), dir, std::move(summary)});
    return {};
  }

  void record_damaged(const VersionView& v, const Error& error) {
    catalog_.whole = false;
    reporter_.report(kCatalogRecord, v.file, v.offset, error.message);
  }

  void take_record(const VersionView& v) {
    if (!v.newest || v.tombstone) return;
    if (v.key == host::kStoreKey) {
      catalog_.store_record = true;
      if (const auto record = host::decode_store(v.value); !record) record_damaged(v, record.error());
    } else if (v.key.starts_with(host::kDatabasePrefix)) {
      auto record = host::decode_database(v.key, v.value);
      if (!record) return record_damaged(v, record.error());
      catalog_.databases.push_back(std::move(*record));
    } else if (v.key.starts_with(host::kTokenPrefix)) {
      if (const auto record = host::decode_token(v.key, v.value); !record) record_damaged(v, record.error());
    } else {
      record_damaged(v, {ErrorCode::kCorruption, "the catalog has a key of no known sort"});
    }
  }

  Status check_catalog() {
    const std::string dir = catalog_dir(dir_);
    const uint64_t before = summary_.major;
    const Status checked = check_database("catalog", dir, [this](const VersionView& v) { take_record(v); });
    if (!checked) {
      if (checked.error().code != ErrorCode::kNotFound) return checked;
      catalog_.whole = false;
      reporter_.report(kCatalogRecord, dir, std::nullopt, "the store's catalog is missing");
      return {};
    }
    catalog_.whole &= summary_.major == before;
    if (!catalog_.store_record && catalog_.whole) {
      // What a first start leaves that ended early.
      TM_ASSIGN(const bool any, fs_.exists(dir_ + kDatabasesDir));
      if (any) reporter_.report(kCatalogRecord, dir, std::nullopt, "the catalog's store record is gone");
    }
    std::set<std::string> names;
    for (const DatabaseRecord& record : catalog_.databases)
      if (!record.gone() && (!names.insert(record.name).second || !host::check_database_name(record.name)))
        reporter_.report(kCatalogRecord, dir, std::nullopt,
                         "the name " + verify::shown(record.name) + " of database " + record.id.text() +
                             " is another's, too, or will not do");
    return {};
  }

  bool wanted(const std::string& name, const std::string& id) const {
    return !options_.database || *options_.database == name || *options_.database == id;
  }

  Status check_contents(const std::string& name, const std::string& dir) {
    kv::ExpiryIndexCheck expiry;
    return check_database(name, dir, [&](const VersionView& v) {
      if (v.tombstone) return;
      if (const Status entry = kv::check_entry(v.key, v.value); !entry) {
        const auto& kind =
            entry.error().code == ErrorCode::kNewerFormat ? verify::kNewerFormat : kEntryMalformed;
        reporter_.report(kind, v.file, v.offset,
                         entry.error().message + ": " + verify::shown(v.key) + " of " + v.stamp.hex());
      }
      if (!v.newest) return;
      if (const Status indexed = expiry.add(v.key, v.value); !indexed)
        reporter_.report(kExpiryUnindexed, v.file, v.offset,
                         indexed.error().message + ": " + verify::shown(v.key));
    });
  }

  Status check_all() {
    TM_TRY(check_catalog());
    std::vector<std::string> folders;
    TM_ASSIGN(const bool any, fs_.exists(dir_ + kDatabasesDir));
    if (any) {
      TM_ASSIGN(folders, fs_.list_dir(dir_ + kDatabasesDir));
      std::ranges::sort(folders);
    }
    bool found = false;
    std::set<std::string> known;
    for (const DatabaseRecord& record : catalog_.databases) {
      const std::string id = record.id.text();
      const std::string dir = database_dir(dir_, record.id);
      known.insert(id);
      if (!wanted(record.name, id)) continue;
      found = true;
      const bool present = contains(folders, id);
      // Of the others a folder may be missing, or half made or removed.
      const bool must = record.state == DatabaseState::kReady || record.state == DatabaseState::kDeleted;
      if (!must && !present) continue;
      if (record.state == DatabaseState::kPurging) continue;
      const Status checked = present ? check_contents(record.name, dir)
                                     : Status(fail(ErrorCode::kNotFound, "its folder is missing"));
      if (checked) continue;
      if (checked.error().code != ErrorCode::kNotFound) return checked;
      if (must)
        reporter_.report(kDatabaseMissing, dir, std::nullopt,
                         "the database '" + record.name + "': " + checked.error().message);
    }
    for (const std::string& name : folders) {
      if (known.contains(name)) continue;
      const std::string dir = dir_ + kDatabasesDir + "/" + name;
      if (!host::Uuid::from_text(name)) {
        reporter_.report(verify::kForeignFile, dir, std::nullopt, "no database has a folder of this name");
        continue;
      }
      if (catalog_.whole)
        reporter_.report(kDatabaseUnknown, dir, std::nullopt, "the catalog has no record of this database");
      if (!wanted("", name)) continue;
      found = true;
      const Status checked = check_contents("", dir);
      if (!checked && checked.error().code != ErrorCode::kNotFound) return checked;
    }
    if (options_.database && !found)
      return fail(ErrorCode::kNotFound, "there is no database '" + *options_.database + "' in " + dir_);
    return {};
  }

  FileSystem& fs_;
  const std::string& dir_;
  const StoreCheckOptions& options_;
  StoreCheckSummary summary_;
  verify::Reporter reporter_;
  Catalog catalog_;
};

}  // namespace

std::string catalog_dir(const std::string& data_dir) {
  return host::Host::catalog_dir(data_dir);
}

std::string database_dir(const std::string& data_dir, const host::Uuid& id) {
  return data_dir + kDatabasesDir + "/" + id.text();
}

Result<FolderKind> folder_kind(FileSystem& fs, const std::string& dir) {
  TM_ASSIGN(const bool exists, fs.exists(dir));
  if (!exists) return fail(ErrorCode::kNotFound, "there is no folder " + dir);
  TM_ASSIGN(const std::vector<std::string> names, fs.list_dir(dir));
  if (contains(names, "catalog") || contains(names, "databases")) return FolderKind::kStore;
  const bool database = std::ranges::any_of(names, [](const std::string& name) {
    return name == "CURRENT" || name.starts_with("MANIFEST-") || name.ends_with(".wal") ||
           name.ends_with(".seg");
  });
  if (database) return FolderKind::kEngineDatabase;
  return fail(ErrorCode::kNotFound, "there is no tidemark store in " + dir);
}

Result<std::unique_ptr<FileLock>> lock_for_reading(FileSystem& fs, const std::string& dir, FolderKind kind) {
  const std::string path = (kind == FolderKind::kStore ? catalog_dir(dir) : dir) + "/LOCK";
  TM_ASSIGN(const bool exists, fs.exists(path));
  if (!exists) return nullptr;
  auto lock = fs.lock_existing(path);
  if (lock) return std::move(*lock);
  if (lock.error().code == ErrorCode::kLocked)
    return fail(ErrorCode::kLocked,
                lock.error().message + ": it can be checked when it is stopped, or a copy");
  return nullptr;
}

Result<StoreCheckSummary> check_store(FileSystem& fs, const std::string& dir,
                                      const StoreCheckOptions& options) {
  return StoreCheck(fs, dir, options).run();
}

}  // namespace tidemark::tools
