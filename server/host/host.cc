// Making a store must survive a crash at any point. The catalog comes first: its one first commit records the
// store and the database `default` as being made. Then the database's folder is made, and then the record
// says so. A crash in between leaves an empty catalog, or a record in state kCreating, and the next opening
// goes on from there. A database in state kReady is never made anew: if its folder is missing, that is an
// error and not an empty database.
#include "server/host/host.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"

namespace tidemark::host {
namespace {

constexpr char kCatalogDir[] = "catalog";
constexpr char kDatabasesDir[] = "databases";
// What may lie in a folder that becomes a store: the folder that ext4 makes at the root of each disk, and the
// access token that an operator keeps with the data.
constexpr std::array<std::string_view, 2> kToleratedNames = {"lost+found", "access-token"};

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// One sentence about the folder out of an error from below.
Error explain(const std::string& dir, const Error& error) {
  const auto sentence = [&](const char* what) {
    return Error{error.code, "the data folder '" + dir + "' " + what + ": " + error.message};
  };
  switch (error.code) {
    case ErrorCode::kNewerFormat:
      return sentence("was written by a newer version of Tidemark");
    case ErrorCode::kCorruption:
      return sentence("is damaged");
    case ErrorCode::kInvalidArgument:
      return sentence("is not a Tidemark store");
    default:
      return sentence("cannot be opened");
  }
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Makes the folder if it is missing, and says whether the catalog may be made in it.
Result<bool> prepare_dir(FileSystem& fs, const std::string& dir) {
  TM_ASSIGN(const bool exists, fs.exists(dir));
  if (!exists) {
    const std::string parent = parent_dir(dir);
    TM_ASSIGN(const bool has_parent, fs.exists(parent));
    if (!has_parent) {
      return fail(ErrorCode::kNotFound, "its parent folder '" + parent + "' does not exist");
    }
    TM_TRY(fs.create_dir(dir));
    TM_TRY(fs.sync_dir(parent));
    return true;
  }
  TM_ASSIGN(const std::vector<std::string> names, fs.list_dir(dir));
  if (contains(names, kDatabasesDir)) {
    // Made after the catalog's first commit, so there must be a catalog with a store record.
    if (contains(names, kCatalogDir)) return false;
    return fail(ErrorCode::kCorruption, "it holds databases but no catalog");
  }
  if (contains(names, kCatalogDir)) return true;
  for (const std::string& name : names) {
    if (std::ranges::find(kToleratedNames, name) != kToleratedNames.end()) continue;
    return fail(ErrorCode::kInvalidArgument, "it has no catalog, but holds other files ('" + name + "')");
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Host>> Host::open(Engine& engine, const HostOptions& given) {
  TM_CHECK(given.access_token.size() >= kMinAccessTokenChars);
  HostOptions options = given;
  options.data_dir = without_trailing_slashes(options.data_dir);
  const std::string& dir = options.data_dir;
  FileSystem& fs = engine.file_system();

  const Result<bool> may_create = prepare_dir(fs, dir);
  if (!may_create) return std::unexpected(explain(dir, may_create.error()));
  Result<std::unique_ptr<Catalog>> catalog = Catalog::open(engine, dir + "/" + kCatalogDir, *may_create);
  if (!catalog) return std::unexpected(explain(dir, catalog.error()));

  std::unique_ptr<Host> host(new Host(engine, options, std::move(*catalog)));
  const Status opened = host->open_databases(options);
  if (!opened) return std::unexpected(explain(dir, opened.error()));
  return host;
}

Host::Host(Engine& engine, const HostOptions& options, std::unique_ptr<Catalog> catalog)
    : engine_(engine),
      limits_(options.limits),
      catalog_(std::move(catalog)),
      access_token_(options.access_token),
      data_tokens_(catalog_->signing_key(), engine.clock()) {}

Status Host::open_databases(const HostOptions& options) {
  FileSystem& fs = engine_.file_system();
  const std::string parent = options.data_dir + "/" + kDatabasesDir;
  TM_TRY(fs.create_dir(parent));
  TM_TRY(fs.sync_dir(options.data_dir));

  const std::vector<DatabaseRecord> records = catalog_->databases();
  for (const DatabaseRecord& record : records) {
    const bool creating = record.state == DatabaseState::kCreating;
    DatabaseOptions database_options = options.database;
    database_options.create_if_missing = creating;
    Result<std::unique_ptr<Database>> database =
        Database::open(engine_, parent + "/" + record.id.text(), database_options);
    if (!database) return fail_within("database '" + record.name + "'", database.error());
    if (creating) {
      TM_TRY(fs.sync_dir(parent));
      TM_TRY(catalog_->mark_ready(record.id));
      if (options.log) {
        options.log(LogLevel::kInfo, "made the database '" + record.name + "' with id " + record.id.text());
      }
    }
    databases_.push_back(std::make_shared<HostedDatabase>(engine_, record, std::move(*database), limits_));
  }
  return {};
}

std::shared_ptr<HostedDatabase> Host::find(std::string_view name) const {
  const auto place = std::ranges::find_if(databases_, [&](const auto& one) { return one->name() == name; });
  return place == databases_.end() ? nullptr : *place;
}

std::shared_ptr<HostedDatabase> Host::find(const Uuid& id) const {
  const auto place = std::ranges::find_if(databases_, [&](const auto& one) { return one->id() == id; });
  return place == databases_.end() ? nullptr : *place;
}

bool Host::may_open(std::string_view access_token, const HostedDatabase&) const {
  return access_token_.matches(access_token);
}

void Host::poll() {
  for (const auto& database : databases_) database->store().expiry().poll();
}

Status Host::close() {
  Status first;
  const auto keep = [&first](Status status) {
    if (first && !status) first = std::move(status);
  };
  for (const auto& database : databases_) {
    database->store().expiry().stop();
    keep(database->database().close());
  }
  databases_.clear();
  keep(catalog_->close());
  return first;
}

}  // namespace tidemark::host
