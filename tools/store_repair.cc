// The catalog is saved like any database, and then brought in line with the folders that could be saved: a
// database of which nothing could be saved loses its record, and one without a record gets one.
#include "tools/store_repair.h"

#include <algorithm>
#include <filesystem>

#include "engine/database.h"
#include "server/host/catalog.h"
#include "server/host/host.h"
#include "tools/store_check.h"

namespace tidemark::tools {
namespace {

using host::DatabaseRecord;
using host::DatabaseState;

constexpr char kDatabasesDir[] = "/databases";

// What a repair takes over as it is.
bool brought_along(const verify::FindingKind& kind) {
  const auto is = [code = std::string_view(kind.code)](const verify::FindingKind& other) {
    return code == other.code;
  };
  return is(kEntryMalformed) || is(verify::kVersionUnlisted) || is(verify::kVersionBound);
}

// Whether the folder is fit for a new store; makes it.
Status prepare(FileSystem& fs, const std::string& from, const std::string& to) {
  std::error_code error;
  const auto inner = std::filesystem::weakly_canonical(to, error);
  const auto outer = std::filesystem::weakly_canonical(from, error);
  if (std::ranges::mismatch(outer, inner).in1 == outer.end())
    return fail(ErrorCode::kInvalidArgument, "the new store must not lie within the old one");
  TM_ASSIGN(const bool exists, fs.exists(to));
  if (exists) {
    const auto names = fs.list_dir(to);
    if (!names || !names->empty())
      return fail(ErrorCode::kInvalidArgument, to + " is not an empty folder: a repair needs one of its own");
    return {};
  }
  TM_ASSIGN(const bool has_parent, fs.exists(parent_dir(to)));
  if (!has_parent) return fail(ErrorCode::kInvalidArgument, "there is no folder " + parent_dir(to));
  TM_TRY(fs.create_dir(to));
  return fs.sync_dir(parent_dir(to));
}

class Repair {
 public:
  Repair(FileSystem& fs, const std::string& from, const std::string& to, const RepairOptions& options)
      : fs_(fs), from_(from), to_(to), options_(options) {}

  Result<RepairSummary> run() {
    TM_ASSIGN(const FolderKind kind, folder_kind(fs_, from_));
    TM_ASSIGN(const auto lock, lock_for_reading(fs_, from_, kind));
    TM_TRY(prepare(fs_, from_, to_));
    EngineComponents components;
    components.file_system = &fs_;
    engine_ = Engine::create({}, components);
    if (kind == FolderKind::kEngineDatabase) {
      TM_TRY(save("", from_, to_, true));
      TM_TRY(prove_database());
    } else {
      TM_TRY(save_store());
      TM_TRY(prove_store());
    }
    TM_TRY(check());
    return std::move(summary_);
  }

 private:
  // False if nothing could be saved, which is then noted.
  Result<bool> save(const std::string& name, const std::string& from, const std::string& to, bool needed) {
    TM_TRY(fs_.create_dir(to));
    verify::SalvageOptions options;
    options.findings = options_.findings;
    options.progress = options_.progress;
    auto saved = verify::salvage_database(fs_, from, to, options);
    if (saved) {
      summary_.databases.push_back({name, to, "", std::move(*saved)});
      return true;
    }
    if (needed || saved.error().code != ErrorCode::kNotFound)
      return std::unexpected(std::move(saved).error());
    TM_TRY(fs_.remove_dir(to));
    summary_.databases.push_back({name, "", saved.error().message, {}});
    return false;
  }

  Status save_store() {
    const std::string catalog_to = catalog_dir(to_);
    TM_TRY(save("catalog", catalog_dir(from_), catalog_to, false));
    TM_ASSIGN(auto catalog, host::Catalog::open(*engine_, catalog_to, true));
    TM_TRY(fs_.create_dir(to_ + kDatabasesDir));
    std::vector<std::string> folders;
    TM_ASSIGN(const bool any, fs_.exists(from_ + kDatabasesDir));
    if (any) {
      TM_ASSIGN(folders, fs_.list_dir(from_ + kDatabasesDir));
      std::ranges::sort(folders);
    }
    const std::vector<DatabaseRecord> records = catalog->databases();
    for (const DatabaseRecord& record : records) TM_TRY(save_recorded(*catalog, record, folders));
    for (const std::string& name : folders) {
      const auto id = host::Uuid::from_text(name);
      if (!id || std::ranges::find(records, *id, &DatabaseRecord::id) != records.end()) continue;
      TM_TRY(save_unrecorded(*catalog, *id));
    }
    return catalog->close();
  }

  Status save_recorded(host::Catalog& catalog, const DatabaseRecord& record,
                       const std::vector<std::string>& folders) {
    const bool must = record.state == DatabaseState::kReady || record.state == DatabaseState::kDeleted;
    if (record.state == DatabaseState::kPurging) return {};
    if (std::ranges::find(folders, record.id.text()) == folders.end()) {
      // One that was being made, also by a catalog that could not be saved, is made when the store is opened.
      if (!must) return {};
      summary_.databases.push_back({record.name, "", "its folder is missing", {}});
      return catalog.erase(record.id);
    }
    TM_ASSIGN(const bool saved,
              save(record.name, database_dir(from_, record.id), database_dir(to_, record.id), false));
    if (saved) return {};
    if (!must) {
      summary_.databases.pop_back();
      return {};
    }
    return catalog.erase(record.id);
  }

  Status save_unrecorded(host::Catalog& catalog, const host::Uuid& id) {
    TM_ASSIGN(const bool saved, save("", database_dir(from_, id), database_dir(to_, id), false));
    if (!saved) return {};
    DatabaseRecord record;
    record.id = id;
    record.state = DatabaseState::kReady;
    record.created_at_ms = engine_->clock().wall_us() / 1000;
    record.name = "recovered-" + id.text();
    summary_.databases.back().name = record.name;
    summary_.databases.back().problem = "its record was lost, so it was given a new name";
    return catalog.put(record);
  }

  // Opening once, and nothing of the past is dropped by it: the retention is the next server's affair.
  Status prove_database() {
    DatabaseOptions options;
    options.create_if_missing = false;
    options.retention = Retention::forever();
    TM_ASSIGN(const auto database, Database::open(*engine_, to_, options));
    return database->close();
  }

  Status prove_store() {
    host::HostOptions options;
    options.data_dir = to_;
    options.create_if_missing = false;
    options.database.retention = Retention::forever();
    TM_ASSIGN(const auto host, host::Host::open(*engine_, options));
    return host->close();
  }

  Status check() {
    StoreCheckOptions options;
    options.deep = true;
    options.findings = [this](const verify::Finding& finding) {
      if (brought_along(finding.kind)) ++summary_.left_wrong;
      if (options_.findings) options_.findings(finding);
    };
    options.progress = options_.progress;
    TM_ASSIGN(const StoreCheckSummary checked, check_store(fs_, to_, options));
    if (checked.major > summary_.left_wrong)
      return fail(ErrorCode::kCorruption, "the new store in " + to_ + " is not sound either: do not use it");
    return {};
  }

  FileSystem& fs_;
  const std::string& from_;
  const std::string& to_;
  const RepairOptions& options_;
  std::unique_ptr<Engine> engine_;
  RepairSummary summary_;
};

}  // namespace

bool RepairedDatabase::lost_something() const {
  return dir.empty() || !problem.empty() || !summary.log_whole || !summary.changes_whole ||
         summary.horizon_guessed || summary.lost_writes > 0 || !summary.lost_ranges.empty();
}

bool RepairSummary::lost_something() const {
  return left_wrong > 0 || std::ranges::any_of(databases, &RepairedDatabase::lost_something);
}

Result<RepairSummary> repair_store(FileSystem& fs, const std::string& from, const std::string& to,
                                   const RepairOptions& options) {
  return Repair(fs, from, to, options).run();
}

std::string repair_report_path(const std::string& to, bool single_database) {
  return single_database ? to + ".repair-report.json" : to + "/repair-report.json";
}

}  // namespace tidemark::tools
