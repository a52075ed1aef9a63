#include "tools/replica.h"

#include <algorithm>
#include <utility>

#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/entropy.h"
#include "server/backup/index_change.h"
#include "server/kv/keyspace.h"

namespace tidemark::tools {
namespace {

constexpr int64_t kWaitUs = 1'000'000;
constexpr int64_t kLongestPauseUs = 30'000'000;
constexpr char kScratchName[] = "/sync";
constexpr char kNextName[] = "default-next";

// Tells those who watch.
void tell(kv::Store& store, const std::vector<backup::ReplayCommit>& commits) {
  if (!store.watch_hub().watched()) return;
  for (const backup::ReplayCommit& commit : commits)
    for (const backup::ReplayWrite& write : commit.writes)
      if (write.key.starts_with(kv::kUserPrefix))
        store.watch_hub().notify(std::string_view(write.key).substr(1));
}

}  // namespace

Replica::Replica(host::Host& host, std::shared_ptr<backup::ObjectStore> store, ReplicaOptions options)
    : host_(host), store_(std::move(store)), options_(std::move(options)) {}

Replica::~Replica() {
  stop();
}

void Replica::say(LogLevel level, const std::string& line) const {
  if (options_.log) options_.log(level, line);
}

Result<std::unique_ptr<Replica>> Replica::start(host::Host& host, std::shared_ptr<backup::ObjectStore> store,
                                                ReplicaOptions options,
                                                const std::function<bool()>& cancelled) {
  std::unique_ptr<Replica> replica(new Replica(host, std::move(store), std::move(options)));
  TM_TRY(replica->find_database());
  TM_TRY(replica->begin(cancelled));
  replica->say(LogLevel::kInfo, "Initial snapshot is complete, starting sync.");
  Status pulled = replica->pull();
  if (!pulled && pulled.error().code == ErrorCode::kConflict) pulled = replica->start_over();
  TM_TRY(pulled);
  replica->note({});
  return replica;
}

// A new store's empty database makes room for one with the id that clients know.
Status Replica::find_database() {
  scratch_folder_ = host_.data_dir() + kScratchName;
  TM_TRY(host_.engine().file_system().create_dir(scratch_folder_));
  TM_ASSIGN(const backup::Source source, backup::Source::open(*store_, ""));
  const std::string name = host::kDefaultDatabaseName;
  TM_ASSIGN(host::DatabaseRef database, host_.open_and_wait(name));
  const auto id = source.index() ? host::Uuid::from_text(source.index()->database) : std::nullopt;
  const bool empty = database->database().head() == Versionstamp::min();
  if (empty && id && *id != database->id()) {
    database.reset();
    TM_TRY(host_.delete_database(name));
    TM_TRY(host_.purge_database(name));
    TM_TRY(host_.create_database(name, id));
    TM_ASSIGN(database, host_.open_and_wait(name));
  }
  return attach(std::move(database));
}

Status Replica::attach(host::DatabaseRef database) {
  backup::FollowerOptions options;
  options.scratch_folder = scratch_folder_;
  options.log = options_.log;
  options.applied = [hosted = database.get()](const auto& commits) { tell(hosted->store(), commits); };
  TM_ASSIGN(auto follower,
            backup::Follower::open(host_.engine(), database->database(), *store_, "", options));
  follower_ = std::move(follower);
  database_ = std::move(database);
  begun_ = false;
  return {};
}

Status Replica::begin(const std::function<bool()>& cancelled) {
  for (bool told = false;;) {
    const Status begun = follower_->begin();
    if (begun) break;
    if (begun.error().code != ErrorCode::kUnavailable) return begun;
    if (!std::exchange(told, true)) say(LogLevel::kInfo, "waiting: " + begun.error().message);
    for (int64_t waited_us = 0; waited_us < kWaitUs; waited_us += kWaitUs / 20) {
      if (cancelled()) return fail(ErrorCode::kShutdown, "interrupted while waiting for the backup");
      host_.engine().clock().sleep_us(kWaitUs / 20);
    }
    // What there is may have changed.
    TM_TRY(attach(database_));
  }
  begun_ = true;
  return {};
}

Status Replica::pull() {
  if (!begun_) {
    TM_TRY(attach(database_));
    TM_TRY(follower_->begin());
    begun_ = true;
  }
  const auto taken = follower_->pull();
  begun_ = taken.has_value();
  if (!taken) return std::unexpected(taken.error());
  return {};
}

Status Replica::start_over() {
  (void)host_.delete_database(kNextName).has_value();
  (void)host_.purge_database(kNextName).has_value();
  TM_TRY(host_.create_database(kNextName));
  TM_ASSIGN(host::DatabaseRef next, host_.open_and_wait(kNextName));
  const host::DatabaseRef old = database_;
  TM_TRY(attach(std::move(next)));
  Status filled = begin([this] {
    MutexLock lock(mutex_);
    return stopped_;
  });
  if (filled) filled = pull();
  if (!filled) {
    begun_ = false;
    database_ = old;
    return filled;
  }
  TM_TRY(host_.delete_database(old->name()));
  TM_TRY(host_.rename_database(kNextName, host::kDefaultDatabaseName));
  say(LogLevel::kInfo, "the database was filled anew from the backup");
  return {};
}

void Replica::poll() {
  if (host_.engine().clock().monotonic_us() < due_us_) return;
  MutexLock lock(mutex_);
  if (running_ || stopped_) return;
  running_ = true;
  host_.engine().executor().post(Lane::kBackup, [this] { run(); });
}

void Replica::run() {
  const int64_t begun_us = host_.engine().clock().monotonic_us();
  Status outcome = pull();
  if (!outcome && outcome.error().code == ErrorCode::kConflict) {
    say(LogLevel::kWarning, "the database is filled anew: " + outcome.error().message);
    outcome = start_over();
  }
  note(outcome);
  due_us_ = outcome ? begun_us + options_.interval_us : host_.engine().clock().monotonic_us() + pause_us_;
  MutexLock lock(mutex_);
  running_ = false;
  changed_.notify_all();
}

void Replica::note(const Status& outcome) {
  std::string line;
  {
    MutexLock lock(mutex_);
    const Database& database = database_->database();
    status_.head = {database.head(), database.head_timestamp_ms()};
    status_.source = backup::describe(options_.target) + follower_->source().prefix();
    status_.generation = follower_->mark().generation;
    status_.commits = follower_->progress().commits;
    if (outcome) {
      status_.checked_ms = now_ms();
      if (!status_.message.empty()) line = "following the backup goes on";
      status_.message.clear();
      pause_us_ = 0;
    } else {
      pause_us_ = std::clamp(2 * pause_us_, options_.interval_us, kLongestPauseUs);
      if (status_.message != outcome.error().message && outcome.error().code != ErrorCode::kShutdown)
        line = "the replica does not get on: " + outcome.error().message;
      status_.message = outcome.error().message;
    }
  }
  if (!line.empty()) say(outcome ? LogLevel::kInfo : LogLevel::kWarning, line);
}

Status Replica::sync_now() {
  {
    MutexLock lock(mutex_);
    while (running_) changed_.wait(mutex_);
    if (stopped_) return fail(ErrorCode::kShutdown, "this server follows no more");
    running_ = true;
  }
  run();
  MutexLock lock(mutex_);
  if (status_.message.empty()) return {};
  return fail(ErrorCode::kUnavailable, status_.message);
}

ReplicaStatus Replica::status() const {
  MutexLock lock(mutex_);
  return status_;
}

void Replica::stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (running_) store_->cancel();
  while (running_) changed_.wait(mutex_);
}

// ---------------------------------------------------------------------------------------------------------
// Becoming a primary

// A server's backups lie below its target, each in a folder named by the database's id.
Result<backup::Target> Replica::target_above() const {
  if (!follower_->source().prefix().empty()) return options_.target;
  const auto parent = backup::parent_folder(options_.target);
  if (parent && parent->name == follower_->source().index()->database) return parent->target;
  return fail(ErrorCode::kConflict,
              "the folder of the backup, " + backup::describe(options_.target) +
                  ", is not named by the database's id, " + follower_->source().index()->database +
                  ", so a server cannot go on with it: restore it with tidemark backup restore");
}

Result<Promotion> Replica::promote() {
  {
    MutexLock lock(mutex_);
    while (running_) changed_.wait(mutex_);
    if (stopped_) return fail(ErrorCode::kShutdown, "the server is being stopped, or was promoted already");
    running_ = true;  // so that nothing else follows
  }
  const auto give_up = [&](const Error& error) -> Result<Promotion> {
    MutexLock lock(mutex_);
    running_ = false;
    changed_.notify_all();
    return std::unexpected(error);
  };
  if (!follower_->source().index())
    return give_up({ErrorCode::kConflict,
                    "the backup is none that this program keeps, so it cannot be taken over: make a store of "
                    "your own out of it with tidemark backup restore"});
  const Result<backup::Target> target = target_above();
  if (!target) return give_up(target.error());
  // From here on nobody else can call anything shipped.
  Result<backup::TaggedIndex> claimed =
      backup::change_index(*store_, follower_->source().prefix(), [this](backup::Index& ours) {
        ours.writer = {host_.store_id(), "promotion-" + to_hex(random_bytes(8)), now_ms()};
        return true;
      });
  if (!claimed) return give_up(claimed.error());
  backup::Index* const index = &claimed->index;
  if (const Status taken = pull(); !taken) return give_up(taken.error());
  const Database& database = database_->database();
  Promotion out;
  out.head = {database.head(), database.head_timestamp_ms()};
  if (index->generations.back().id != follower_->mark().generation)
    return give_up({ErrorCode::kConflict, "the newest generation of the backup, " +
                                              index->generations.back().id +
                                              ", cannot be read yet: its snapshot is not complete"});
  backup::Generation next;
  next.id = backup::next_generation_id(*index);
  next.began_ms = now_ms();
  next.snapshot = out.head.stamp;
  next.continues = true;
  next.reason = "a replica was promoted";
  next.sessions = {{index->writer.session, next.snapshot}};
  index->generations.back().ended_ms = next.began_ms;
  index->generations.push_back(next);
  const std::string key = follower_->source().prefix() + std::string(backup::kIndexName);
  const auto put = store_->put(key, backup::encode(*index), backup::PutCondition::unchanged(claimed->tag));
  if (!put) return give_up(put.error());
  if (const Status own = follower_->detach(); !own) return give_up(own.error());
  const auto recorded = host_.set_backup(
      database_->name(), host::BackupSetting{true, backup::target_url(*target), index->database});
  if (!recorded) return give_up(recorded.error());
  out.generation = next.id;
  out.epoch = database.epoch();
  host_.become_writable();
  MutexLock lock(mutex_);
  running_ = false;
  stopped_ = true;
  changed_.notify_all();
  return out;
}

}  // namespace tidemark::tools
