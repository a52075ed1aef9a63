#include "tools/backup_driver.h"

#include "engine/base/hex.h"
#include "engine/io/entropy.h"
#include "tools/backup_location.h"

namespace tidemark::tools {
namespace {

constexpr int64_t kStoreRetryUs = 30'000'000;
constexpr size_t kSessionBytes = 8;

}  // namespace

BackupDriver::BackupDriver(host::Host& host, Options options)
    : host_(host),
      options_(std::move(options)),
      own_url_(options_.target ? backup::target_url(*options_.target) : std::string()),
      store_id_(host.store_id()),
      session_(to_hex(random_bytes(kSessionBytes))),
      service_(host.engine(), options_.shipper, options_.log) {}

Status BackupDriver::check() {
  if (!options_.target) return {};
  TM_TRY(store_of(*options_.target));
  return {};
}

std::optional<backup::Target> BackupDriver::target_of(
    const std::optional<host::BackupSetting>& setting) const {
  if (!setting) return options_.target;
  if (!setting->enabled) return std::nullopt;
  if (setting->target.empty()) return options_.target;
  Result<backup::Target> target = backup::parse_target(setting->target);
  return target ? std::optional(std::move(*target)) : std::nullopt;
}

Result<std::shared_ptr<backup::ObjectStore>> BackupDriver::store_of(const backup::Target& target) {
  // Asked for every open database, many times a second: most have the server's own.
  const bool own = options_.target && target == *options_.target;
  const std::string url = own ? own_url_ : backup::target_url(target);
  const int64_t now_us = host_.engine().clock().monotonic_us();
  MutexLock lock(mutex_);
  const auto known = stores_.find(url);
  if (known != stores_.end() && (known->second.store || now_us < known->second.retry_at_us))
    return known->second.store;
  auto store = open_object_store(host_.engine(), target, options_.log);
  if (!store && options_.log)
    options_.log(LogLevel::kError, "backup to " + backup::describe(target) + ": " + store.error().message);
  stores_.insert_or_assign(url, OpenStore{store, now_us + kStoreRetryUs});
  return store;
}

void BackupDriver::poll() {
  std::vector<backup::BackupService::Offer> offers;
  for (const host::DatabaseRef& hosted : host_.opened()) {
    const std::optional<host::BackupSetting> setting = hosted->backup();
    const std::optional<backup::Target> target = target_of(setting);
    if (options_.gated) hosted->database().set_gate_open(!target);
    if (!target) continue;
    auto store = store_of(*target);
    if (!store) continue;
    const std::shared_ptr<Database> database(hosted, &hosted->database());
    const std::string id = setting && !setting->as.empty() ? setting->as : hosted->id_text();
    offers.push_back({{id, hosted->name(), store_id_, session_}, database, std::move(*store), id + "/"});
  }
  const host::Host::DiskState disk = host_.disk_state();
  if (disk.trims || disk.full) service_.let_go();
  service_.poll(offers);
}

std::vector<BackupDriver::DatabaseBackup> BackupDriver::statuses() {
  std::map<std::string, backup::BackupService::Report> reports;
  for (backup::BackupService::Report& report : service_.reports())
    reports.emplace(report.identity.database, std::move(report));
  const int64_t now_ms = host_.engine().clock().wall_us() / 1000;
  std::vector<DatabaseBackup> out;
  for (host::DatabaseRecord& record : host_.databases()) {
    if (record.gone()) continue;
    DatabaseBackup one;
    one.target = target_of(record.settings.backup);
    if (one.target) {
      const auto store = store_of(*one.target);
      if (!store) one.problem = store.error().message;
      const auto& setting = record.settings.backup;
      one.id = setting && !setting->as.empty() ? setting->as : record.id.text();
      const auto report = reports.find(one.id);
      if (report != reports.end()) {
        one.report = std::move(report->second);
        if (const host::DatabaseRef open = host_.find(record.id))
          one.lag = backup::measure_lag(open->database(), one.report->status.shipped, now_ms)
                        .value_or(backup::Lag());
      }
    }
    one.record = std::move(record);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace tidemark::tools
