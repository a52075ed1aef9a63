// A database of a host that is open: its engine database, and Deno KV on it.
#pragma once

#include <memory>
#include <string>

#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/host/records.h"
#include "server/host/uuid.h"
#include "server/kv/store.h"

namespace tidemark::host {

// What was done in a database, counted.
struct HostedCounters {
  DatabaseCounters engine;
  uint64_t expired_keys = 0;  // deleted because of that

  HostedCounters& operator+=(const HostedCounters& other) {
    engine += other.engine;
    expired_keys += other.expired_keys;
    return *this;
  }
};

// Whoever works on it holds a shared_ptr: the engine database is closed after the last has let go. Any
// thread.
class HostedDatabase {
 public:
  HostedDatabase(Engine& engine, const Uuid& id, std::unique_ptr<Database> database, const kv::Limits& limits)
      : id_(id), id_text_(id.text()), database_(std::move(database)), store_(engine, *database_, limits) {}

  // The id that clients see. The engine's own id names a line of history and is another one.
  const Uuid& id() const { return id_; }
  const std::string& id_text() const { return id_text_; }
  // As people call it at this moment.
  std::string name() const {
    MutexLock lock(mutex_);
    return name_;
  }
  void set_name(const std::string& name) {
    MutexLock lock(mutex_);
    name_ = name;
  }
  // What clients are shown instead of head; null: head.
  std::shared_ptr<const kv::PastView> checkout() const {
    MutexLock lock(mutex_);
    return checkout_;
  }
  void set_checkout(std::shared_ptr<const kv::PastView> view) {
    MutexLock lock(mutex_);
    checkout_ = std::move(view);
  }
  // Whether it is backed up; nothing: as the server is told.
  std::optional<BackupSetting> backup() const {
    MutexLock lock(mutex_);
    return backup_;
  }
  void set_backup(std::optional<BackupSetting> backup) {
    MutexLock lock(mutex_);
    backup_ = std::move(backup);
  }
  // Since it was opened.
  HostedCounters counters() const { return {database_->counters(), store_.expiry().deleted()}; }
  Database& database() { return *database_; }
  kv::Store& store() { return store_; }

 private:
  const Uuid id_;
  const std::string id_text_;
  mutable Mutex mutex_;
  std::string name_ TM_GUARDED_BY(mutex_);
  std::optional<BackupSetting> backup_ TM_GUARDED_BY(mutex_);
  std::unique_ptr<Database> database_;
  kv::Store store_;
  std::shared_ptr<const kv::PastView> checkout_ TM_GUARDED_BY(mutex_);
};

using DatabaseRef = std::shared_ptr<HostedDatabase>;

}  // namespace tidemark::host
