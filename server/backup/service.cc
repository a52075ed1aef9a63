#include "server/backup/service.h"

#include <set>

namespace tidemark::backup {
namespace {

constexpr int kSnapshotsAtOnce = 2;
constexpr int kTasksOfSnapshot = 3;  // so that some threads are left for the logs
constexpr int64_t kDrainPollUs = 20'000;
constexpr uint64_t kMaxLagCommits = 100'000;
constexpr uint64_t kMaxLagBytes = uint64_t{64} << 20;

class LagCounter final : public WriteVisitor {
 public:
  Lag lag;
  int64_t oldest_ms = 0;

 private:
  bool on_commit(const CommitPoint& commit, uint32_t) override {
    if (lag.commits == 0) oldest_ms = commit.timestamp_ms;
    lag.at_least = lag.commits >= kMaxLagCommits || lag.bytes >= kMaxLagBytes;
    if (lag.at_least) return false;
    ++lag.commits;
    return true;
  }
  void on_put(std::string_view key, std::string_view value) override {
    lag.bytes += key.size() + value.size();
  }
  void on_erase(std::string_view key) override { lag.bytes += key.size(); }
};

}  // namespace

Result<Lag> measure_lag(const Database& database, const CommitPoint& shipped, int64_t now_ms) {
  const Versionstamp head = database.head();
  LagCounter counter;
  // What is held for the backup is pinned; of what is not, some may be missing.
  if (head > shipped.stamp) TM_TRY(database.visit_writes(shipped.stamp, head, counter));
  if (counter.lag.commits > 0) counter.lag.ms = std::max<int64_t>(now_ms - counter.oldest_ms, 0);
  return counter.lag;
}

BackupService::BackupService(Engine& engine, const ShipperOptions& options, LogSink log)
    : engine_(engine), options_(options), log_(std::move(log)) {}

BackupService::~BackupService() = default;

BackupService::EntryRef BackupService::entry_for(const Offer& offer) {
  EntryRef& entry = entries_[offer.identity.database];
  if (entry != nullptr && entry->store == offer.store && entry->prefix == offer.prefix &&
      entry->identity.name == offer.identity.name)
    return entry;
  // What the one before has under way ends by itself; its session is the same, so neither fences the other.
  if (entry != nullptr && entry->under_way()) return entry;
  entry = std::make_shared<Entry>();
  entry->identity = offer.identity;
  entry->store = offer.store;
  entry->prefix = offer.prefix;
  entry->shipper =
      std::make_unique<Shipper>(engine_.clock(), offer.store, offer.prefix, offer.identity, options_, log_);
  return entry;
}

// Called by those who commit, who must not wait for anybody here: the rest is done by a task.
void BackupService::listen(const EntryRef& entry, const std::shared_ptr<Database>& database) {
  database->set_durable_hook([this, weak = std::weak_ptr<Entry>(entry)] {
    const EntryRef told = weak.lock();
    if (told == nullptr || told->kicked.exchange(true)) return;
    ++kicks_;
    engine_.executor().post(Lane::kBackup, [this, told] { kick(told); });
  });
}

void BackupService::kick(const EntryRef& entry) {
  MutexLock lock(mutex_);
  entry->kicked = false;
  if (!stopping_ && entry->database == nullptr) entry->database = entry->known.lock();
  if (!stopping_ && entry->database != nullptr) start_due(entry);
  --kicks_;
  changed_.notify_all();
}

void BackupService::poll(const std::vector<Offer>& offers) {
  std::vector<std::shared_ptr<Database>> let_go;  // after the lock: the last holder closes it
  std::vector<std::pair<EntryRef, std::shared_ptr<Database>>> opened;
  poll_all(offers, let_go, opened);
  for (const auto& [entry, database] : opened) {
    entry->shipper->adopt(*database);
    if (options_.immediate) listen(entry, database);
  }
}

void BackupService::poll_all(const std::vector<Offer>& offers, std::vector<std::shared_ptr<Database>>& let_go,
                             std::vector<std::pair<EntryRef, std::shared_ptr<Database>>>& opened) {
  MutexLock lock(mutex_);
  if (stopping_) return;
  std::set<std::string> offered;
  for (const Offer& offer : offers) {
    offered.insert(offer.identity.database);
    const EntryRef entry = entry_for(offer);
    entry->offered = true;
    if (entry->known.lock() != offer.database) {
      // It was closed and opened again meanwhile.
      if (entry->under_way()) continue;
      forget(entry, let_go);
      entry->known = offer.database;
      // Until the shipper knows how far the backup has come.
      (void)offer.database->hold(offer.database->history_begin()).has_value();
      opened.emplace_back(entry, offer.database);
    }
    if (!entry->shipper->idle(*offer.database))
      entry->database = offer.database;
    else if (!entry->under_way())
      let_go.push_back(std::exchange(entry->database, nullptr));
    if (entry->database != nullptr) start_due(entry);
  }
  for (const auto& [id, entry] : entries_) {
    if (offered.contains(id)) continue;
    entry->offered = false;
    if (!entry->under_way()) forget(entry, let_go);
  }
}

void BackupService::forget(const EntryRef& entry, std::vector<std::shared_ptr<Database>>& let_go) {
  entry->shipper->release();
  // What is not backed up any more need not hold its past.
  if (const auto database = entry->known.lock()) (void)database->hold(std::nullopt).has_value();
  entry->known.reset();
  let_go.push_back(std::exchange(entry->database, nullptr));
}

void BackupService::start_due(const EntryRef& entry) {
  if (!entry->running && entry->shipper->due(*entry->database)) {
    entry->running = true;
    ++tasks_;
    engine_.executor().post(Lane::kBackup, [this, entry] { run_round(entry); });
  }
  const std::shared_ptr<SnapshotUpload> upload = entry->shipper->snapshot();
  if (upload == nullptr || upload->done() || entry->snapshot_tasks > 0 || snapshots_ >= kSnapshotsAtOnce)
    return;
  ++snapshots_;
  entry->snapshot_tasks = kTasksOfSnapshot;
  tasks_ += kTasksOfSnapshot;
  for (int i = 0; i < kTasksOfSnapshot; ++i)
    engine_.executor().post(Lane::kBackup, [this, entry, upload] { run_snapshot(entry, upload); });
}

void BackupService::run_round(const EntryRef& entry) {
  entry->shipper->run(*entry->database);
  MutexLock lock(mutex_);
  entry->running = false;
  --tasks_;
  if (options_.immediate && !stopping_) start_due(entry);
  changed_.notify_all();
}

// Goes back to the end of the lane's queue after each range, so that logs do not wait for snapshots.
void BackupService::run_snapshot(const EntryRef& entry, const std::shared_ptr<SnapshotUpload>& upload) {
  const Result<bool> more = upload->run();
  if (!more) entry->shipper->snapshot_failed(more.error());
  MutexLock lock(mutex_);
  if (more && *more && !stopping_ && entry->offered) {
    engine_.executor().post(Lane::kBackup, [this, entry, upload] { run_snapshot(entry, upload); });
    return;
  }
  if (--entry->snapshot_tasks == 0) --snapshots_;
  --tasks_;
  changed_.notify_all();
}

void BackupService::let_go() {
  MutexLock lock(mutex_);
  for (const auto& [id, entry] : entries_)
    if (entry->database != nullptr) entry->shipper->let_go(*entry->database);
}

std::vector<BackupService::Report> BackupService::reports() const {
  MutexLock lock(mutex_);
  std::vector<Report> out;
  for (const auto& [id, entry] : entries_) out.push_back({entry->identity, entry->shipper->status()});
  return out;
}

bool BackupService::all_idle() const {
  // What does not get on now will hardly do so before the end.
  for (const auto& [id, entry] : entries_)
    if (entry->database != nullptr && !entry->shipper->idle(*entry->database) &&
        entry->shipper->status().message.empty())
      return false;
  return true;
}

void BackupService::stop(int64_t timeout_us) {
  const int64_t deadline_us = engine_.clock().monotonic_us() + timeout_us;
  std::vector<std::shared_ptr<Database>> let_go;  // after the lock
  std::vector<std::shared_ptr<Database>> listening;
  MutexLock lock(mutex_);
  while (!all_idle() && engine_.clock().monotonic_us() < deadline_us) {
    for (const auto& [id, entry] : entries_)
      if (entry->database != nullptr) start_due(entry);
    changed_.wait_for_us(mutex_, kDrainPollUs);
  }
  stopping_ = true;
  for (const auto& [id, entry] : entries_) {
    if (entry->under_way()) entry->store->cancel();
    if (const auto database = entry->known.lock()) listening.push_back(database);
  }
  if (options_.immediate) {
    mutex_.unlock();
    for (const auto& database : listening) database->set_durable_hook(nullptr);
    mutex_.lock();
  }
  while (tasks_ > 0 || kicks_ > 0) changed_.wait_for_us(mutex_, kDrainPollUs);
  for (const auto& [id, entry] : entries_) forget(entry, let_go);
}

}  // namespace tidemark::backup
