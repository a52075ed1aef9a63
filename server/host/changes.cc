// Changes of a store while it is being served. Each goes through the catalog first, and is true from that
// commit on; what it means for folders is done after, and done again by whoever finds it undone:
//
//   make     record kCreating; folder; record kReady; directory
//   delete   record kDeleted; directory; the database closes when its last user lets go
//   purge    record kPurging; wait for the last user; folder away, file by file; no record
//   fork     record kPurging; folder of linked files; record kReady; directory
//
// A crash leaves a kCreating record, which the next start completes, or a kPurging one, which the next purge
// completes. No folder is ever without a record.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/io/entropy.h"
#include "engine/io/remove_folder.h"
#include "server/host/host.h"

namespace tidemark::host {
namespace {

std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

std::unexpected<Error> no_such(std::string_view name_or_id) {
  return fail(ErrorCode::kNotFound, "there is no database " + quoted(name_or_id));
}

Status check_label(std::string_view label) {
  const auto refuse = [](const std::string& why) {
    return fail(ErrorCode::kInvalidArgument, "that is no label for a token: " + why);
  };
  if (label.size() > Host::kMaxLabelBytes) {
    return refuse("it has " + std::to_string(label.size()) + " bytes, and " +
                  std::to_string(Host::kMaxLabelBytes) + " are the most");
  }
  const bool clean =
      std::ranges::none_of(label, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
  if (!clean) return refuse("it holds control characters");
  return {};
}

}  // namespace

void Host::log(const std::string& line) const {
  if (options_.log) options_.log(LogLevel::kInfo, line);
}

const DatabaseRecord* Host::find_present(std::string_view name) const {
  const auto& all = catalog_->databases();
  const auto place =
      std::ranges::find_if(all, [&](const DatabaseRecord& one) { return !one.gone() && one.name == name; });
  return place == all.end() ? nullptr : &*place;
}

Result<DatabaseRecord> Host::get_present(const std::string& name) const {
  TM_TRY(check_database_name(name));
  const DatabaseRecord* record = find_present(name);
  if (record == nullptr) return no_such(name);
  return *record;
}

Result<DatabaseRecord> Host::get_deleted(const std::string& name_or_id) const {
  const std::optional<Uuid> id = Uuid::from_text(name_or_id);
  if (!id) TM_TRY(check_database_name(name_or_id));
  const DatabaseRecord* newest = nullptr;
  for (const DatabaseRecord& record : catalog_->databases()) {
    if (!record.gone()) continue;
    if (id && record.id == *id) return record;
    if (record.name != name_or_id) continue;
    if (newest == nullptr || newest->deleted_at_ms < record.deleted_at_ms) newest = &record;
  }
  if (newest == nullptr) {
    return fail(ErrorCode::kNotFound, "there is no deleted database " + quoted(name_or_id));
  }
  return *newest;
}

Status Host::check_free(const std::string& name) const {
  TM_TRY(check_database_name(name));
  if (find_present(name) == nullptr) return {};
  return fail(ErrorCode::kInvalidArgument, "there is a database " + quoted(name) + " already");
}

Status Host::check_open() const {
  if (!closed_) return {};
  return fail(ErrorCode::kShutdown, "the store is being closed");
}

std::vector<DatabaseRecord> Host::databases() const {
  MutexLock lock(mutex_);
  std::vector<DatabaseRecord> all = catalog_->databases();
  std::ranges::sort(all, [](const DatabaseRecord& a, const DatabaseRecord& b) {
    return a.name != b.name ? a.name < b.name : a.created_at_ms < b.created_at_ms;
  });
  return all;
}

Result<std::unique_ptr<HostedDatabase>> Host::make(DatabaseRecord& record) {
  TM_ASSIGN(std::unique_ptr<HostedDatabase> database, open_files(record.id, true));
  TM_TRY(engine_.file_system().sync_dir(databases_dir_));
  DatabaseRecord ready = record;
  ready.state = DatabaseState::kReady;
  TM_TRY(catalog_->put(ready));
  record = std::move(ready);
  log("made the database " + quoted(record.name) + " with id " + record.id.text());
  return database;
}

Status Host::remove(const DatabaseRecord& record) {
  TM_TRY(remove_folder(engine_.file_system(), dir_of(record.id)));
  TM_TRY(engine_.file_system().sync_dir(databases_dir_));
  TM_TRY(catalog_->erase(record.id));
  const auto slot = slots_.find(record.id);
  removed_ += slot->second->counters();
  slots_.erase(slot);
  publish();
  return {};
}

Result<DatabaseRecord> Host::create_database(const std::string& name, const std::optional<Uuid>& id) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_TRY(check_free(name));
  if (id && slots_.contains(*id))
    return fail(ErrorCode::kInvalidArgument, "there is a database with the id " + id->text() + " already");
  DatabaseRecord record;
  record.id = id.value_or(random_uuid());
  record.created_at_ms = engine_.clock().wall_us() / 1000;
  record.name = name;
  TM_TRY(catalog_->put(record));
  add_slot(record);
  Result<std::unique_ptr<HostedDatabase>> made = make(record);
  if (!made) {
    // As if it had never been asked for, if that much works; else the next start completes it.
    record.state = DatabaseState::kPurging;
    record.deleted_at_ms = record.created_at_ms;
    if (catalog_->put(record)) (void)remove(record).has_value();
    return fail_within("the database " + quoted(name) + " was not made", made.error());
  }
  // Closed until somebody uses it: many may be made. Before anybody finds it, since its folder is locked.
  made->reset();
  publish();
  return record;
}

Result<DatabaseRecord> Host::rename_database(const std::string& name, const std::string& new_name) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_ASSIGN(DatabaseRecord record, get_present(name));
  if (new_name == name) return record;
  TM_TRY(check_free(new_name));
  record.name = new_name;
  TM_TRY(catalog_->put(record));
  slots_.at(record.id)->rename(new_name);
  publish();
  log("renamed the database " + quoted(name) + " to " + quoted(new_name));
  return record;
}

Result<DatabaseRecord> Host::delete_database(const std::string& name) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_ASSIGN(DatabaseRecord record, get_present(name));
  record.state = DatabaseState::kDeleted;
  record.deleted_at_ms = engine_.clock().wall_us() / 1000;
  TM_TRY(catalog_->put(record));
  publish();
  slots_.at(record.id)->retire();
  log("deleted the database " + quoted(name) + " with id " + record.id.text());
  return record;
}

Result<DatabaseRecord> Host::undelete_database(const std::string& name_or_id) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_ASSIGN(DatabaseRecord record, get_deleted(name_or_id));
  if (record.state == DatabaseState::kPurging) {
    return fail(ErrorCode::kNotFound,
                "the database " + quoted(record.name) + " is being removed and cannot be brought back");
  }
  if (find_present(record.name) != nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "there is a database " + quoted(record.name) + " again: rename that one first");
  }
  record.state = DatabaseState::kReady;
  record.deleted_at_ms = 0;
  TM_TRY(catalog_->put(record));
  slots_.at(record.id)->revive();
  publish();
  log("brought back the database " + quoted(record.name) + " with id " + record.id.text());
  return record;
}

Status Host::purge(DatabaseRecord record) {
  if (record.state != DatabaseState::kPurging) {
    record.state = DatabaseState::kPurging;
    TM_TRY(catalog_->put(record));
  }
  if (!slots_.at(record.id)->wait_closed(options_.purge_wait_us)) {
    return fail(ErrorCode::kLocked, "the database " + quoted(record.name) +
                                        " is still in use; it will be removed when its last client has gone");
  }
  TM_TRY(remove(record));
  log("removed the database " + quoted(record.name) + " with id " + record.id.text() + " for good");
  return {};
}

Result<DatabaseRecord> Host::purge_database(const std::string& name_or_id) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_ASSIGN(const DatabaseRecord record, get_deleted(name_or_id));
  TM_TRY(purge(record));
  return record;
}

Result<size_t> Host::purge_deleted(int64_t deleted_before_ms) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  size_t purged = 0;
  Status first;
  const std::vector<DatabaseRecord> records = catalog_->databases();
  for (const DatabaseRecord& record : records) {
    const bool due = record.state == DatabaseState::kPurging ||
                     (record.state == DatabaseState::kDeleted && record.deleted_at_ms <= deleted_before_ms);
    if (!due) continue;
    Status done = purge(record);
    if (done) {
      ++purged;
    } else if (first) {
      first = std::move(done);
    }
  }
  TM_TRY(first);
  return purged;
}

// Until its files are complete the new one is recorded as one that is being removed: that is what becomes of
// it after a crash.
Result<DatabaseRecord> Host::fork_database(const std::string& name, const kv::Moment& moment,
                                           const std::string& new_name) {
  TM_ASSIGN(const DatabaseRef source, open_and_wait(name));
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_TRY(check_free(new_name));
  DatabaseRecord record;
  record.id = random_uuid();
  record.state = DatabaseState::kPurging;
  record.created_at_ms = record.deleted_at_ms = engine_.clock().wall_us() / 1000;
  record.name = new_name;
  TM_TRY(catalog_->put(record));
  add_slot(record);
  Status made = source->database().fork(dir_of(record.id), moment.stamp);
  DatabaseRecord ready = record;
  ready.state = DatabaseState::kReady;
  ready.deleted_at_ms = 0;
  if (made) made = catalog_->put(ready);
  if (!made) {
    (void)remove(record).has_value();
    return fail_within("the database " + quoted(new_name) + " was not made", made.error());
  }
  slots_.at(record.id)->revive();
  publish();
  log("made the database " + quoted(new_name) + " with id " + record.id.text() + " from " + quoted(name) +
      " at " + kv::describe(moment));
  return ready;
}

Result<DatabaseRecord> Host::database(const std::string& name) const {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  return get_present(name);
}

Result<DatabaseRecord> Host::change_settings(const std::string& name,
                                             const std::function<void(DatabaseSettings&)>& change) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_ASSIGN(DatabaseRecord record, get_present(name));
  change(record.settings);
  TM_TRY(catalog_->put(record));
  publish();
  return record;
}

Result<DatabaseRecord> Host::set_retention(const std::string& name, std::optional<Retention> retention,
                                           std::optional<uint64_t> history_max_bytes) {
  TM_ASSIGN(const DatabaseRecord record, change_settings(name, [&](DatabaseSettings& settings) {
              settings.retention = retention;
              settings.history_max_bytes = history_max_bytes;
            }));
  // One that is opened meanwhile has it from its record.
  if (const DatabaseRef open = find(name); open && !read_only()) {
    open->database().set_retention(retention_of(record.settings));
    open->database().set_history_max_bytes(history_max_bytes_of(record.settings));
  }
  return record;
}

void Host::become_writable() {
  read_only_ = false;
  for (const DatabaseRef& database : opened()) {
    const DatabaseSettings settings = settings_of(database->id());
    database->set_checkout(nullptr);
    database->database().set_retention(retention_of(settings));
    database->database().set_history_max_bytes(history_max_bytes_of(settings));
  }
}

Result<DatabaseRecord> Host::set_backup(const std::string& name, std::optional<BackupSetting> backup) {
  TM_ASSIGN(const DatabaseRecord record,
            change_settings(name, [&](DatabaseSettings& settings) { settings.backup = backup; }));
  // One that is opened meanwhile has it from its record.
  if (const DatabaseRef open = find(name)) open->set_backup(backup);
  return record;
}

std::string Host::store_id() const {
  MutexLock lock(mutex_);
  return catalog_->store_id().text();
}

Result<DatabaseRecord> Host::check_out(const std::string& name, std::optional<kv::Moment> moment) {
  TM_ASSIGN(const DatabaseRef database, open_and_wait(name));
  std::shared_ptr<const kv::PastView> view;
  if (moment) {
    TM_ASSIGN(const auto pinned, database->database().pin(moment->stamp));
    view = std::make_shared<const kv::PastView>(kv::PastView{pinned, moment->now_ms});
  }
  TM_ASSIGN(const DatabaseRecord record,
            change_settings(name, [&](DatabaseSettings& settings) { settings.checkout = moment; }));
  if (read_only()) database->set_checkout(view);
  return record;
}

std::vector<TokenRecord> Host::tokens() const {
  MutexLock lock(mutex_);
  std::vector<TokenRecord> all = catalog_->tokens();
  std::ranges::sort(all, {}, &TokenRecord::created_at_ms);
  return all;
}

Result<NewToken> Host::create_token(const TokenRequest& request) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  TM_TRY(check_label(request.label));
  if (request.all_databases == !request.databases.empty()) {
    return fail(ErrorCode::kInvalidArgument, "a token opens either all databases or some that are named");
  }
  NewToken made;
  TokenRecord& record = made.record;
  record.grant.rights = request.rights;
  record.grant.all_databases = request.all_databases;
  for (const std::string& name : request.databases) {
    TM_ASSIGN(const DatabaseRecord database, get_present(name));
    if (!record.grant.opens(database.id)) record.grant.databases.push_back(database.id);
  }
  record.label = request.label;
  record.created_at_ms = engine_.clock().wall_us() / 1000;
  made.secret = random_token();
  record.hash = hash_token(made.secret);
  record.grant.token.number = load_le64(random_bytes(sizeof(uint64_t)).data());
  TM_TRY(catalog_->put(record));
  publish();
  log("made the access token " + record.grant.token.text());
  return made;
}

Result<TokenRecord> Host::revoke_token(TokenId id) {
  MutexLock lock(mutex_);
  TM_TRY(check_open());
  const auto& all = catalog_->tokens();
  const auto place = std::ranges::find_if(all, [&](const TokenRecord& one) { return one.grant.token == id; });
  if (place == all.end()) {
    return fail(ErrorCode::kNotFound, "there is no token with id " + id.text());
  }
  const TokenRecord revoked = *place;
  TM_TRY(catalog_->erase(id));
  publish();
  log("revoked the access token " + id.text());
  return revoked;
}

}  // namespace tidemark::host
