// The one interface through which every engine is driven. Each engine has one .cc file; its settings stand at
// the top of that file with the reason for each.
//
// Errors end the process (die): a benchmark that goes on after one measures nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/workload.h"

namespace tidemark::bench {

struct StoreOptions {
  bool sync = true;                                  // a put returns when it would survive power loss
  uint64_t cache_bytes = uint64_t{1} << 30;          // for blocks or pages
  uint64_t write_buffer_bytes = uint64_t{64} << 20;  // memtable
  bool keep_log = false;                             // do not fold the log into the store while writing
};

struct Entry {
  std::string key;
  std::string value;
};

// What one thread uses to talk to a store. Each call sees the newest state, as a fresh snapshot would.
class Session {
 public:
  virtual ~Session() = default;
  // One commit.
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void put_batch(std::span<const Entry> entries) = 0;
  // The value, in the store's own memory where it can be had without a copy; valid until the next call on
  // this session. Nothing if the key is absent.
  virtual std::optional<std::string_view> get(std::string_view key) = 0;
  // Gives up to `limit` entries to `check`: from `start` (inclusive) upwards, or downwards if `reverse`.
  virtual void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check) = 0;
};

// An open store. Destroying it closes it cleanly, without flushing the log where the engine allows that.
// Sessions must be gone by then.
class Store {
 public:
  virtual ~Store() = default;
  // Any thread.
  virtual std::unique_ptr<Session> session() = 0;
  // Brings the store into the state it reads best from: memory flushed, everything merged.
  virtual void settle() = 0;
};

struct StoreKind {
  const char* name;
  bool log_structured_peer;  // RocksDB and LevelDB: the ones a row is compared with
  // Opens the store in the folder `dir`, which exists and is either empty or holds such a store.
  std::unique_ptr<Store> (*open)(const std::string& dir, const StoreOptions& options);
};

// All, in the order in which they take their turns.
std::span<const StoreKind> store_kinds();

std::unique_ptr<Store> open_tidemark(const std::string& dir, const StoreOptions& options);
std::unique_ptr<Store> open_rocksdb(const std::string& dir, const StoreOptions& options);
std::unique_ptr<Store> open_leveldb(const std::string& dir, const StoreOptions& options);
std::unique_ptr<Store> open_lmdb(const std::string& dir, const StoreOptions& options);
std::unique_ptr<Store> open_sqlite(const std::string& dir, const StoreOptions& options);

}  // namespace tidemark::bench
