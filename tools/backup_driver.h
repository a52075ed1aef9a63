// The backups of a store that is being served: which databases, and where to.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/io/sync.h"
#include "server/backup/service.h"
#include "server/backup/target.h"
#include "server/host/host.h"

namespace tidemark::tools {

// Any thread, but for start() and stop().
class BackupDriver {
 public:
  struct Options {
    std::optional<backup::Target> target;  // of every database that says nothing else
    backup::ShipperOptions shipper;
    bool gated = false;  // the databases are: those that are not backed up are not to wait
    LogSink log;
  };
  // `host` must outlive it.
  BackupDriver(host::Host& host, Options options);

  // Whether the server's own target can be used at all: its settings are wrong, or there are no credentials.
  Status check();
  // To be called several times a second.
  void poll();
  // Ships what is left, for at most so long.
  void stop(int64_t timeout_us) { service_.stop(timeout_us); }

  struct DatabaseBackup {
    host::DatabaseRecord record;
    std::optional<backup::Target> target;                 // nothing: it is not backed up
    std::string id;                                       // that the backup has it under
    std::optional<backup::BackupService::Report> report;  // once it was opened
    std::string problem;                                  // why nothing could be begun; may be empty
    // What is not in the backup. A database that is closed has nothing that is not.
    backup::Lag lag;
  };
  // Of the databases that are not deleted, by name.
  std::vector<DatabaseBackup> statuses();
  // Where a database is backed up to; nothing: it is not.
  std::optional<backup::Target> target_of(const std::optional<host::BackupSetting>& setting) const;

 private:
  struct OpenStore {
    Result<std::shared_ptr<backup::ObjectStore>> store;
    int64_t retry_at_us;  // monotonic; if it could not be opened
  };

  Result<std::shared_ptr<backup::ObjectStore>> store_of(const backup::Target& target) TM_EXCLUDES(mutex_);

  host::Host& host_;
  const Options options_;
  const std::string own_url_;  // of options_.target
  const std::string store_id_;
  const std::string session_;
  backup::BackupService service_;
  mutable Mutex mutex_;
  std::map<std::string, OpenStore> stores_ TM_GUARDED_BY(mutex_);  // by the target's URL
};

}  // namespace tidemark::tools
