// Keeping a store within max_disk_bytes. A task on the read lane adds up what the databases use: those that
// are open know it themselves, those that are closed do not change, so their files are measured once. What
// disk_budget.h makes of that is applied to the open ones; a closed database keeps its history until it is
// opened.
#include <algorithm>
#include <limits>

#include "server/host/host.h"

namespace tidemark::host {
namespace {

constexpr int64_t kCheckUs = 1'000'000;

uint64_t folder_bytes(FileSystem& fs, const std::string& dir) {
  uint64_t sum = 0;
  const auto names = fs.list_dir(dir);
  if (!names) return 0;
  for (const std::string& name : *names) {
    const auto file = fs.open(dir + "/" + name, OpenMode::kRead);
    if (!file) continue;
    const auto size = (*file)->size();
    if (size) sum += *size;
  }
  return sum;
}

}  // namespace

void Host::poll_disk() {
  if (!options_.max_disk_bytes) return;
  {
    MutexLock lock(disk_mutex_);
    const int64_t now_us = engine_.clock().monotonic_us();
    if (checking_disk_ || now_us < next_disk_check_us_) return;
    checking_disk_ = true;
    next_disk_check_us_ = now_us + kCheckUs;
  }
  engine_.executor().post(Lane::kRead, [this] {
    check_disk();
    MutexLock lock(disk_mutex_);
    checking_disk_ = false;
    disk_checked_.notify_all();
  });
}

void Host::end_disk_checks() {
  MutexLock lock(disk_mutex_);
  next_disk_check_us_ = std::numeric_limits<int64_t>::max();
  while (checking_disk_) disk_checked_.wait(disk_mutex_);
}

uint64_t Host::closed_bytes(const Uuid& id) {
  const auto [place, is_new] = closed_bytes_.try_emplace(id, 0);
  if (is_new) place->second = folder_bytes(engine_.file_system(), dir_of(id));
  return place->second;
}

DiskUse Host::disk_use(const Uuid& id, DatabaseSlot& slot) {
  const DatabaseRef database = slot.peek();
  if (!database) return {0, closed_bytes(id)};
  closed_bytes_.erase(id);
  const DatabaseStats stats = database->database().stats();
  DiskUse use{stats.history.bytes, stats.wal_bytes + stats.change_file_bytes};
  for (const LevelStats& level : stats.live) use.other_bytes += level.bytes;
  return use;
}

void Host::check_disk() {
  std::vector<std::pair<Uuid, std::shared_ptr<DatabaseSlot>>> slots;
  directory_.with([&](const Directory& directory) {
    slots.assign(directory.databases.begin(), directory.databases.end());
  });
  std::vector<DiskUse> uses;
  uses.reserve(slots.size());
  for (const auto& [id, slot] : slots) uses.push_back(disk_use(id, *slot));
  // Those that were deleted and can be brought back.
  DiskUse& deleted = uses.emplace_back();
  if (const auto names = engine_.file_system().list_dir(databases_dir_)) {
    for (const std::string& name : *names) {
      const std::optional<Uuid> id = Uuid::from_text(name);
      if (id && !exists(*id)) deleted.other_bytes += closed_bytes(*id);
    }
  }

  const DiskPlan plan = plan_disk(uses, *options_.max_disk_bytes, disk_full_.load(std::memory_order_relaxed));
  const std::optional<uint64_t> own = options_.database.history_max_bytes;
  for (size_t i = 0; i < slots.size(); ++i) {
    const DatabaseRef database = slots[i].second->peek();
    if (!database) continue;
    std::optional<uint64_t> ceiling = plan.history_ceilings[i];
    if (own && (!ceiling || *own < *ceiling)) ceiling = own;
    database->database().set_history_max_bytes(ceiling);
  }
  const auto say = [&](LogLevel level, const char* what) {
    if (options_.log)
      options_.log(level, "--max-disk-bytes " + std::to_string(*options_.max_disk_bytes) + ": " + what);
  };
  if (plan.trims && !disk_trims_.exchange(plan.trims, std::memory_order_relaxed))
    say(LogLevel::kWarning, "history is trimmed before its retention is over, the oldest first");
  disk_trims_.store(plan.trims, std::memory_order_relaxed);
  if (plan.full != disk_full_.exchange(plan.full, std::memory_order_relaxed)) {
    if (plan.full)
      say(LogLevel::kError, "reached without any history; writes are refused, but for deletes");
    else
      say(LogLevel::kInfo, "there is room again; writes are taken");
  }
}

}  // namespace tidemark::host
