// Making a store must survive a crash at any point. The catalog comes first: its one first commit records the
// store and the database `default` as being made. Then the database's folder is made, and then the record
// says so. A crash in between leaves an empty catalog, or a record in state kCreating, and the next opening
// goes on from there. Further databases are made the same way. A database in state kReady is never made anew:
// if its folder is missing, that is an error and not an empty database.
//
// Requests look into the directory, which is made anew after each change of the catalog and replaced as a
// whole: what is not in it can no longer be found, whoever has found it before finishes. Changes: changes.cc.
#include "server/host/host.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"

namespace tidemark::host {
namespace {

constexpr char kCatalogDir[] = "catalog";
constexpr char kDatabasesDir[] = "databases";
constexpr int64_t kIdleUs = int64_t{5} * 60 * 1'000'000;
constexpr int64_t kSurplusIdleUs = 1'000'000;
constexpr size_t kVisitsAtOnce = 8;
constexpr int64_t kCloseWaitUs = int64_t{60} * 1'000'000;
// What may lie in a folder that becomes a store: the folder that ext4 makes at the root of each disk, and the
// access token that an operator keeps with the data.
constexpr std::array<std::string_view, 2> kToleratedNames = {"lost+found", "access-token"};

HostOptions prepared(HostOptions options) {
  while (options.data_dir.size() > 1 && options.data_dir.ends_with('/')) options.data_dir.pop_back();
  return options;
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
Result<bool> prepare_dir(FileSystem& fs, const std::string& dir, bool create_if_missing) {
  TM_ASSIGN(const bool exists, fs.exists(dir));
  if (!exists) {
    if (!create_if_missing) return fail(ErrorCode::kNotFound, "there is no such folder");
    const std::string parent = parent_dir(dir);
    TM_ASSIGN(const bool has_parent, fs.exists(parent));
    if (!has_parent) {
      return fail(ErrorCode::kNotFound, "its parent folder '" + parent + "' does not exist");
    }
    TM_TRY(fs.create_dir(dir));
    TM_TRY(fs.sync_dir(parent));
    return true;
  }
  // Whoever made the folder may have failed to do this. It matters as long as nothing else is in it.
  const auto make_durable = [&]() -> Result<bool> {
    TM_TRY(fs.sync_dir(parent_dir(dir)));
    return true;
  };
  TM_ASSIGN(const std::vector<std::string> names, fs.list_dir(dir));
  if (contains(names, kDatabasesDir)) {
    // Made after the catalog's first commit, so there must be a catalog with a store record.
    if (contains(names, kCatalogDir)) return false;
    return fail(ErrorCode::kCorruption, "it holds databases but no catalog");
  }
  if (contains(names, kCatalogDir)) return make_durable();
  if (!create_if_missing) return fail(ErrorCode::kNotFound, "there is no store in it");
  for (const std::string& name : names) {
    if (std::ranges::find(kToleratedNames, name) != kToleratedNames.end()) continue;
    return fail(ErrorCode::kInvalidArgument, "it has no catalog, but holds other files ('" + name + "')");
  }
  return make_durable();
}

}  // namespace

Result<std::unique_ptr<Host>> Host::open(Engine& engine, const HostOptions& given) {
  TM_CHECK(given.access_token.empty() || given.access_token.size() >= kMinAccessTokenChars);
  const HostOptions options = prepared(given);
  const std::string& dir = options.data_dir;

  const Result<bool> may_create = prepare_dir(engine.file_system(), dir, options.create_if_missing);
  if (!may_create) return std::unexpected(explain(dir, may_create.error()));
  Result<std::unique_ptr<Catalog>> catalog = Catalog::open(engine, catalog_dir(dir), *may_create);
  if (!catalog) return std::unexpected(explain(dir, catalog.error()));

  std::unique_ptr<Host> host(new Host(engine, options, std::move(*catalog)));
  const Status opened = host->open_databases();
  if (!opened) return std::unexpected(explain(dir, opened.error()));
  return host;
}

Host::Host(Engine& engine, const HostOptions& options, std::unique_ptr<Catalog> catalog)
    : engine_(engine),
      options_(options),
      read_only_(options.read_only),
      databases_dir_(options.data_dir + "/" + kDatabasesDir),
      data_tokens_(options.signing_key.value_or(catalog->signing_key()), engine.clock()),
      catalog_(std::move(catalog)) {
  if (options.access_token.empty()) return;
  access_token_.emplace(options.access_token);
  Grant grant;
  grant.token = data_tokens_.id_of_unrecorded(access_token_->hash());
  grant.all_databases = true;
  own_grant_ = std::make_shared<const Grant>(std::move(grant));
}

Host::~Host() {
  (void)close();
}

Status Host::open_databases() {
  MutexLock lock(mutex_);
  FileSystem& fs = engine_.file_system();
  TM_TRY(fs.create_dir(databases_dir_));
  TM_TRY(fs.sync_dir(options_.data_dir));

  const std::vector<DatabaseRecord> records = catalog_->databases();
  for (const DatabaseRecord& record : records) {
    if (!options_.serves || options_.read_only || record.gone() || !record.settings.checkout) continue;
    return fail(
        ErrorCode::kReadOnly,
        "the database '" + record.name + "' is checked out at " + kv::describe(*record.settings.checkout) +
            "; serve it with --read-only, or give it its newest state back with "
            "'tidemark pitr checkout latest', or make the past the present with 'tidemark pitr rewind'");
  }
  {
    MutexLock settings_lock(settings_mutex_);
    for (const DatabaseRecord& record : records) settings_[record.id] = record.settings;
  }
  const auto present = std::ranges::count_if(records, [](const DatabaseRecord& one) { return !one.gone(); });
  const bool open_all = static_cast<size_t>(present) <= options_.open_at_start;
  for (DatabaseRecord record : records) {
    add_slot(record);
    if (record.gone()) continue;
    const auto explain_database = [&](const Error& error) {
      return fail_within("database '" + record.name + "'", error);
    };
    const bool creating = record.state == DatabaseState::kCreating;
    if (creating || open_all) {
      Result<std::unique_ptr<HostedDatabase>> database =
          creating ? make(record) : open_files(record.id, false);
      if (!database) return explain_database(database.error());
      slots_.at(record.id)->adopt(std::move(*database));
    } else {
      TM_ASSIGN(const bool there, fs.exists(dir_of(record.id)));
      if (!there) return explain_database({ErrorCode::kNotFound, "its folder is gone"});
    }
  }
  publish();
  return {};
}

Result<std::unique_ptr<HostedDatabase>> Host::open_files(const Uuid& id, bool create) {
  const DatabaseSettings settings = settings_of(id);
  DatabaseOptions options = options_.database;
  options.create_if_missing = create;
  options.retention = retention_of(settings);
  options.history_max_bytes = history_max_bytes_of(settings);
  TM_ASSIGN(std::unique_ptr<Database> database, Database::open(engine_, dir_of(id), options));
  auto hosted = std::make_unique<HostedDatabase>(engine_, id, std::move(database), options_.limits);
  hosted->set_backup(settings.backup);
  if (read_only() && settings.checkout) {
    const auto pinned = hosted->database().pin(settings.checkout->stamp);
    if (!pinned) return fail_within("what is checked out cannot be shown", pinned.error());
    hosted->set_checkout(
        std::make_shared<const kv::PastView>(kv::PastView{*pinned, settings.checkout->now_ms}));
  }
  return hosted;
}

DatabaseSettings Host::settings_of(const Uuid& id) const {
  MutexLock lock(settings_mutex_);
  const auto place = settings_.find(id);
  return place == settings_.end() ? DatabaseSettings() : place->second;
}

void Host::add_slot(const DatabaseRecord& record) {
  auto slot = std::make_shared<DatabaseSlot>(
      engine_, record.name, [this, id = record.id] { return open_files(id, false); }, options_.log);
  if (record.gone()) slot->retire();
  slots_[record.id] = std::move(slot);
}

void Host::publish() {
  {
    MutexLock lock(settings_mutex_);
    settings_.clear();
    for (const DatabaseRecord& record : catalog_->databases()) settings_[record.id] = record.settings;
  }
  auto directory = std::make_shared<Directory>();
  directory->removed = removed_;
  for (const DatabaseRecord& record : catalog_->databases()) {
    if (record.gone()) directory->deleted.push_back(slots_.at(record.id));
    if (record.state != DatabaseState::kReady) continue;
    directory->ids.emplace(record.name, record.id);
    directory->databases.emplace(record.id, slots_.at(record.id));
  }
  for (const TokenRecord& token : catalog_->tokens()) {
    directory->grants.emplace(token.hash, std::make_shared<const Grant>(token.grant));
    directory->token_ids.insert(token.grant.token.number);
  }
  if (own_grant_) directory->token_ids.insert(own_grant_->token.number);
  directory_.publish(std::move(directory));
}

std::shared_ptr<const Grant> Host::authenticate(std::string_view access_token) const {
  const TokenHash hash = hash_token(access_token);
  if (access_token_ && access_token_->matches(hash)) return own_grant_;
  return directory_.with([&](const Directory& directory) -> std::shared_ptr<const Grant> {
    const auto place = directory.grants.find(hash);
    return place == directory.grants.end() ? nullptr : place->second;
  });
}

DataTokens::Issued Host::issue(const Grant& grant, const Uuid& database) const {
  return data_tokens_.issue(database, grant.rights, grant.token);
}

DataTokens::Issued Host::issue_view(const Grant& grant, const Uuid& database,
                                    const kv::Moment& moment) const {
  return data_tokens_.issue_view(database, moment, grant.token);
}

std::optional<DataAccess> Host::admit(std::string_view data_token) const {
  const std::optional<DataClaims> claims = data_tokens_.verify(data_token);
  if (!claims) return std::nullopt;
  return directory_.with([&](const Directory& directory) -> std::optional<DataAccess> {
    if (!directory.token_ids.contains(claims->access_token.number)) return std::nullopt;
    DataAccess access;
    access.claims = *claims;
    const auto place = directory.databases.find(claims->database);
    access.exists = place != directory.databases.end();
    if (access.exists) access.database = place->second->get();
    return access;
  });
}

bool Host::counts(const DataClaims& claims) const {
  if (claims.expires_at_ms <= engine_.clock().wall_us() / 1000) return false;
  return directory_.with([&](const Directory& directory) {
    return directory.token_ids.contains(claims.access_token.number) &&
           directory.databases.contains(claims.database);
  });
}

std::vector<DatabaseRef> Host::opened() const {
  return directory_.with([](const Directory& directory) {
    std::vector<DatabaseRef> open;
    for (const auto& [id, slot] : directory.databases)
      if (DatabaseRef database = slot->peek()) open.push_back(std::move(database));
    return open;
  });
}

std::vector<std::shared_ptr<DatabaseSlot>> Host::present_slots() const {
  return directory_.with([](const Directory& directory) {
    std::vector<std::shared_ptr<DatabaseSlot>> slots;
    for (const auto& [id, slot] : directory.databases) slots.push_back(slot);
    return slots;
  });
}

void Host::end_gates() {
  for (const auto& slot : present_slots()) slot->end_gate();
}

HostedCounters Host::counters() const {
  std::vector<std::shared_ptr<DatabaseSlot>> slots;
  HostedCounters sum = directory_.with([&](const Directory& directory) {
    slots = directory.deleted;
    for (const auto& [id, slot] : directory.databases) slots.push_back(slot);
    return directory.removed;
  });
  for (const auto& slot : slots) sum += slot->counters();
  return sum;
}

std::vector<Host::Figures> Host::figures() const {
  std::vector<std::pair<std::string, std::shared_ptr<DatabaseSlot>>> slots;
  directory_.with([&](const Directory& directory) {
    for (const auto& [name, id] : directory.ids) slots.emplace_back(name, directory.databases.at(id));
  });
  std::ranges::sort(slots, {}, &std::pair<std::string, std::shared_ptr<DatabaseSlot>>::first);
  std::vector<Figures> all;
  for (const auto& [name, slot] : slots) all.push_back({name, slot->counters(), slot->peek()});
  return all;
}

std::optional<Uuid> Host::id_of(std::string_view name) const {
  return directory_.with([&](const Directory& directory) -> std::optional<Uuid> {
    const auto place = directory.ids.find(name);
    if (place == directory.ids.end()) return std::nullopt;
    return place->second;
  });
}

std::shared_ptr<DatabaseSlot> Host::slot_of(const Uuid& database) const {
  return directory_.with([&](const Directory& directory) -> std::shared_ptr<DatabaseSlot> {
    const auto place = directory.databases.find(database);
    return place == directory.databases.end() ? nullptr : place->second;
  });
}

DatabaseRef Host::find(std::string_view name) const {
  const std::optional<Uuid> id = id_of(name);
  return id ? find(*id) : nullptr;
}

DatabaseRef Host::find(const Uuid& database) const {
  const std::shared_ptr<DatabaseSlot> slot = slot_of(database);
  return slot ? slot->get() : nullptr;
}

Result<DatabaseRef> Host::open_and_wait(std::string_view name) {
  const std::optional<Uuid> id = id_of(name);
  const std::shared_ptr<DatabaseSlot> slot = id ? slot_of(*id) : nullptr;
  if (slot == nullptr)
    return fail(ErrorCode::kNotFound,
                "there is no database '" + std::string(name) + "' (see tidemark db list)");
  return slot->open_and_wait();
}

void Host::open_database(const Uuid& database, DatabaseSlot::OpenDone done) {
  const std::shared_ptr<DatabaseSlot> slot = slot_of(database);
  if (!slot) return done(fail(ErrorCode::kNotFound, "the database was deleted"));
  slot->open(std::move(done));
}

void Host::poll() {
  const size_t open = poll_expiry();
  if (open > options_.max_open_databases) close_some(open - options_.max_open_databases);
  poll_disk();
}

// A database that is closed cannot tell what expires in it; its slot remembers when the next will. One that
// was not open since the start is visited once to find out.
size_t Host::poll_expiry() {
  const int64_t now_ms = engine_.clock().wall_us() / 1000;
  std::vector<DatabaseRef> open;
  std::vector<std::shared_ptr<DatabaseSlot>> due;
  directory_.with([&](const Directory& directory) {
    for (const auto& [id, slot] : directory.databases) {
      if (DatabaseRef database = slot->peek())
        open.push_back(std::move(database));
      else if (due.size() < kVisitsAtOnce && slot->needs_visit(now_ms))
        due.push_back(slot);
    }
  });
  for (const DatabaseRef& database : open) database->store().expiry().poll(database);
  const size_t open_count = open.size();
  open.clear();
  std::erase_if(visited_, [&](const auto& slot) { return !slot->end_visit(now_ms); });
  // Calls of clients that wait for a database are to find the read lane free.
  if (std::ranges::any_of(visited_, &DatabaseSlot::opening)) return open_count;
  for (auto& slot : due) {
    slot->visit();
    visited_.push_back(std::move(slot));
  }
  return open_count;
}

void Host::close_some(size_t count) {
  for (const auto& slot : present_slots()) {
    if (slot->close_if_idle(kSurplusIdleUs) && --count == 0) return;
  }
}

void Host::maintain() {
  const Result<size_t> purged = purge_deleted(engine_.clock().wall_us() / 1000 - kKeepDeletedMs);
  if (!purged && options_.log) {
    options_.log(LogLevel::kWarning, "a deleted database cannot be removed yet: " + purged.error().message);
  }
  for (const DatabaseRef& database : opened()) database->store().past_views().drop_ended();
  MutexLock lock(mutex_);
  for (const auto& [id, slot] : slots_) slot->close_if_idle(kIdleUs);
}

Status Host::close() {
  end_disk_checks();
  MutexLock lock(mutex_);
  if (std::exchange(closed_, true)) return {};
  Status first;
  const auto keep = [&first](Status status) {
    if (first && !status) first = std::move(status);
  };
  directory_.publish(std::make_shared<Directory>());
  visited_.clear();
  for (const auto& [id, slot] : slots_) slot->retire();
  for (const auto& [id, slot] : slots_) {
    while (!slot->wait_closed(kCloseWaitUs)) {
    }
    keep(slot->close_status());
  }
  slots_.clear();
  keep(catalog_->close());
  return first;
}

}  // namespace tidemark::host
