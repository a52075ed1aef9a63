// A store: one data folder that holds databases, and the tokens that open them.
//
//   <data folder>/catalog/           what the store knows about itself (catalog.h); its lock guards all
//   <data folder>/databases/<uuid>/  one engine database each
//
// Databases and tokens may be made and removed while others use the store. A database is opened when it is
// first used, and closed after some idle minutes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/log.h"
#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/host/access_token.h"
#include "server/host/catalog.h"
#include "server/host/data_token.h"
#include "server/host/database_name.h"
#include "server/host/directory.h"
#include "server/host/disk_budget.h"
#include "server/host/hosted_database.h"
#include "server/host/published.h"

namespace tidemark::host {

struct HostOptions {
  std::string data_dir;
  // Opens every database; at least kMinAccessTokenChars long, or empty: only stored tokens open anything.
  std::string access_token;
  // Instead of the store's own, so that several servers take each other's data-path tokens.
  std::optional<SigningKey> signing_key;
  DatabaseOptions database;  // of every database; create_if_missing is ignored
  kv::Limits limits;
  // Of all databases together, in bytes: beyond it history is trimmed, then writes are refused.
  std::optional<uint64_t> max_disk_bytes;
  bool create_if_missing = true;
  // Nothing is written for clients: databases that are checked out show that moment, and all history is kept.
  // Without it, `serves` refuses a store in which one is checked out.
  bool read_only = false;
  bool serves = false;
  // A store with at most so many databases opens all of them at its start, so that damage shows at once.
  size_t open_at_start = 16;
  // When more are open, those that nobody has used for a second are closed.
  size_t max_open_databases = 1000;
  // How long removing a database waits for those who still use it.
  int64_t purge_wait_us = 5'000'000;
  LogSink log;  // may be empty
};

// What the bearer of a data-path token may work on.
struct DataAccess {
  DataClaims claims;
  bool exists = false;   // whether the database is still there
  DatabaseRef database;  // null if it is not open
};

// A token to be made.
struct TokenRequest {
  std::vector<std::string> databases;  // names
  bool all_databases = false;          // instead of names
  Rights rights = Rights::kReadWrite;
  std::string label;  // at most kMaxLabelBytes of UTF-8, without control characters
};

struct NewToken {
  TokenRecord record;
  std::string secret;  // the token itself; kept nowhere
};

// Any thread, but for open() and close(). What changes the store blocks on the disk, and runs one at a time.
class Host {
 public:
  static constexpr size_t kMaxLabelBytes = 100;
  // How long a deleted database can be brought back, by the wall clock.
  static constexpr int64_t kKeepDeletedMs = int64_t{7} * 24 * 3600 * 1000;

  // Opens the store, after recovery if need be; makes it, if that is asked for, when the folder is missing
  // (its parent must exist) or empty. Every error is one line that names the folder. kLocked: in use by
  // another process; kInvalidArgument: the folder holds something else; kNewerFormat; kCorruption; kNotFound:
  // no parent, no store, or a database's folder is gone; kIo: the system refused (not writable, say).
  // `engine` must outlive it.
  static Result<std::unique_ptr<Host>> open(Engine& engine, const HostOptions& options);
  // As close(), and drops errors.
  ~Host();
  // The folder that a store has from its first moment on.
  static std::string catalog_dir(const std::string& data_dir) { return data_dir + "/catalog"; }

  Engine& engine() { return engine_; }
  const std::string& data_dir() const { return options_.data_dir; }
  // Of every database.
  const kv::Limits& limits() const { return options_.limits; }
  // Of a database with these settings, as it is now: while nothing may be written nothing is dropped.
  Retention retention_of(const DatabaseSettings& settings) const {
    return read_only() ? Retention::forever() : settings.retention.value_or(options_.database.retention);
  }
  std::optional<uint64_t> history_max_bytes_of(const DatabaseSettings& settings) const {
    if (read_only()) return std::nullopt;
    return settings.history_max_bytes ? settings.history_max_bytes : options_.database.history_max_bytes;
  }

  // Those that are open now.
  std::vector<DatabaseRef> opened() const;
  // Database::end_gate() of all of them, and of those that are being closed.
  void end_gates();
  // What was done in all databases since the start, those that are closed or removed by now included.
  HostedCounters counters() const;
  struct Figures {
    std::string name;
    HostedCounters counters;  // since the start
    DatabaseRef database;     // null if it is not open
  };
  // Of those that are not deleted, by name.
  std::vector<Figures> figures() const;
  // For requests: none of these blocks.

  // What this access token opens; null if it is none of the store's. Takes the same time for every token of
  // the same length.
  std::shared_ptr<const Grant> authenticate(std::string_view access_token) const;
  // A data-path token for a database that the grant opens.
  DataTokens::Issued issue(const Grant& grant, const Uuid& database) const;
  // One for a view of the past.
  DataTokens::Issued issue_view(const Grant& grant, const Uuid& database, const kv::Moment& moment) const;
  // Nothing if the data-path token is not good, or the access token that it was given for counts no more.
  std::optional<DataAccess> admit(std::string_view data_token) const;
  // Whether a data-path token with these claims is still good, and its database there.
  bool counts(const DataClaims& claims) const;
  // Nothing if there is none of this name.
  std::optional<Uuid> id_of(std::string_view name) const;
  bool exists(const Uuid& database) const { return slot_of(database) != nullptr; }
  // Null if there is none, or it is not open.
  DatabaseRef find(std::string_view name) const;
  DatabaseRef find(const Uuid& database) const;
  // Opens it on the read lane if it is not open, and tells `done`, before it returns or later. kNotFound if
  // there is none; other errors: those of Database::open.
  void open_database(const Uuid& database, DatabaseSlot::OpenDone done);
  // The database of that name, opened if need be, waiting for that. Errors as those of open_database(), with
  // sentences for people. REQUIRES: not on the read lane.
  Result<DatabaseRef> open_and_wait(std::string_view name);

  // For administration. Errors are sentences for people. kInvalidArgument: a name that will not do or is
  // taken; kNotFound: there is nothing of that name or id.

  // With those that are deleted; by name, then by age.
  std::vector<DatabaseRecord> databases() const;
  // `id`: nothing for a new one. kInvalidArgument if there is a database of this id.
  Result<DatabaseRecord> create_database(const std::string& name, const std::optional<Uuid>& id = {});
  Result<DatabaseRecord> rename_database(const std::string& name, const std::string& new_name);
  // It can be brought back for kKeepDeletedMs. Requests under way are finished.
  Result<DatabaseRecord> delete_database(const std::string& name);
  // The one deleted last of that name, or the one of that id.
  Result<DatabaseRecord> undelete_database(const std::string& name_or_id);
  // Removes a deleted one for good. kLocked if somebody is still using it: then it is removed by a later
  // purge, and cannot be brought back either.
  Result<DatabaseRecord> purge_database(const std::string& name_or_id);
  // Removes for good what was deleted before `deleted_before_ms` (since 1970), or whose removal was
  // interrupted. How many; the first error, after all were tried.
  Result<size_t> purge_deleted(int64_t deleted_before_ms);

  // As in the catalog.
  Result<DatabaseRecord> database(const std::string& name) const;
  // How long history is kept from now on; nothing: as the store's options say.
  Result<DatabaseRecord> set_retention(const std::string& name, std::optional<Retention> retention,
                                       std::optional<uint64_t> history_max_bytes);
  // A new database that holds what this one held at that moment, with its history; they share files, and are
  // independent of each other from then on. kBeyondHorizon; kInvalidArgument if the name will not do.
  Result<DatabaseRecord> fork_database(const std::string& name, const kv::Moment& moment,
                                       const std::string& new_name);
  // What the database shows when the store is served read-only; nothing: head. kBeyondHorizon if that cannot
  // be read.
  Result<DatabaseRecord> check_out(const std::string& name, std::optional<kv::Moment> moment);
  // Whether it is backed up from now on, and where to; nothing: as the server is told.
  Result<DatabaseRecord> set_backup(const std::string& name, std::optional<BackupSetting> backup);
  // What names the store, for good.
  std::string store_id() const;
  bool read_only() const { return read_only_.load(std::memory_order_relaxed); }
  // Writes are taken from now on, and history is kept as the options say.
  void become_writable();
  bool serves() const { return options_.serves; }

  // By age.
  std::vector<TokenRecord> tokens() const;
  Result<NewToken> create_token(const TokenRequest& request);
  // It opens nothing any more when this returns. Requests that were let in before are finished.
  Result<TokenRecord> revoke_token(TokenId id);

  // To be called about once a minute: removes what has been deleted long enough, closes idle databases.
  void maintain();

  // To be called several times a second, by one thread: begins what is due in the databases (expiry, for
  // which those that are closed are visited), closes some if too many are open, and about once a second has a
  // look at the disk, if there is a limit. Does not block.
  void poll();
  // How max_disk_bytes is being kept at this moment.
  struct DiskState {
    bool trims = false;  // history, before its retention is over
    bool full = false;   // writes that add something are to be refused
  };
  DiskState disk_state() const {
    return {disk_trims_.load(std::memory_order_relaxed), disk_full_.load(std::memory_order_relaxed)};
  }

  // Closes every database, then the catalog. REQUIRES: no other user of the host or its databases is left.
  // The first error, after everything was tried. Calling it twice does nothing.
  Status close();

 private:
  Host(Engine& engine, const HostOptions& options, std::unique_ptr<Catalog> catalog);

  Status open_databases();
  // Null if there is no such database.
  std::shared_ptr<DatabaseSlot> slot_of(const Uuid& database) const;
  std::string dir_of(const Uuid& id) const { return databases_dir_ + "/" + id.text(); }
  Result<std::unique_ptr<HostedDatabase>> open_files(const Uuid& id, bool create)
      TM_EXCLUDES(settings_mutex_);
  DatabaseSettings settings_of(const Uuid& id) const TM_EXCLUDES(settings_mutex_);
  Result<DatabaseRecord> change_settings(const std::string& name,
                                         const std::function<void(DatabaseSettings&)>& change);
  void add_slot(const DatabaseRecord& record) TM_REQUIRES(mutex_);
  Result<std::unique_ptr<HostedDatabase>> make(DatabaseRecord& record) TM_REQUIRES(mutex_);
  Status remove(const DatabaseRecord& record) TM_REQUIRES(mutex_);
  Status purge(DatabaseRecord record) TM_REQUIRES(mutex_);
  // Of the records.
  void publish() TM_REQUIRES(mutex_);
  // Null if there is none.
  const DatabaseRecord* find_present(std::string_view name) const TM_REQUIRES(mutex_);
  Result<DatabaseRecord> get_present(const std::string& name) const TM_REQUIRES(mutex_);
  Result<DatabaseRecord> get_deleted(const std::string& name_or_id) const TM_REQUIRES(mutex_);
  Status check_free(const std::string& name) const TM_REQUIRES(mutex_);
  Status check_open() const TM_REQUIRES(mutex_);
  void log(const std::string& line) const;
  // How many databases are open.
  size_t poll_expiry();
  // Of the databases that are not deleted.
  std::vector<std::shared_ptr<DatabaseSlot>> present_slots() const;
  void close_some(size_t count);
  void poll_disk();
  void check_disk();
  void end_disk_checks();
  DiskUse disk_use(const Uuid& id, DatabaseSlot& slot);
  uint64_t closed_bytes(const Uuid& id);

  Engine& engine_;
  const HostOptions options_;
  std::atomic<bool> read_only_;
  const std::string databases_dir_;
  const DataTokens data_tokens_;
  std::optional<AccessToken> access_token_;
  std::shared_ptr<const Grant> own_grant_;  // of access_token_; null without
  Published<Directory> directory_;

  std::vector<std::shared_ptr<DatabaseSlot>> visited_;  // poll()'s

  // The look at the disk.
  std::atomic<bool> disk_trims_{false};
  std::atomic<bool> disk_full_{false};
  mutable Mutex disk_mutex_;
  CondVar disk_checked_;
  bool checking_disk_ TM_GUARDED_BY(disk_mutex_) = false;
  int64_t next_disk_check_us_ TM_GUARDED_BY(disk_mutex_) = 0;  // monotonic; INT64_MAX: never again
  std::unordered_map<Uuid, uint64_t, UuidHash> closed_bytes_;  // of closed databases; of the task that looks

  // Of every record; for openings, which must not wait for changes of the store.
  mutable Mutex settings_mutex_;
  std::unordered_map<Uuid, DatabaseSettings, UuidHash> settings_ TM_GUARDED_BY(settings_mutex_);

  mutable Mutex mutex_;
  std::unique_ptr<Catalog> catalog_ TM_GUARDED_BY(mutex_);
  // Of every record.
  std::unordered_map<Uuid, std::shared_ptr<DatabaseSlot>, UuidHash> slots_ TM_GUARDED_BY(mutex_);
  HostedCounters removed_ TM_GUARDED_BY(mutex_);
  bool closed_ TM_GUARDED_BY(mutex_) = false;
};

}  // namespace tidemark::host
