// `tidemark serve`: opens a store and answers KV Connect until a signal ends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/options.h"
#include "server/backup/shipper.h"
#include "server/backup/target.h"
#include "server/host/data_token.h"
#include "server/kv/request_limits.h"
#include "tools/log.h"

namespace tidemark::tools {

// Checked already.
struct ServeOptions {
  std::string data_dir;
  std::string address;                    // HOST:PORT
  std::string access_token;               // may be empty: only the store's own tokens open it
  std::string public_url;                 // may be empty
  std::vector<std::string> replica_urls;  // told to clients
  std::optional<host::SigningKey> signing_key;
  std::string tls_chain_path;  // PEM files; both empty: cleartext
  std::string tls_key_path;
  Retention retention;
  std::optional<uint64_t> history_max_bytes;
  std::optional<uint64_t> max_disk_bytes;
  bool read_only = false;
  std::optional<backup::Target> backup_target;  // of every database that says nothing else
  backup::ShipperOptions shipper;
  bool gated = false;                         // commits count when they are in the backup
  std::optional<backup::Target> sync_target;  // what is followed, read-only
  int64_t sync_interval_us = 0;
  uint64_t max_open_databases = 0;
  uint64_t block_cache_bytes = EngineOptions{}.block_cache_bytes;
  kv::Limits limits;
  std::string metrics_address;              // HOST:PORT; empty: none
  bool metrics_address_is_default = false;  // then a port in use is no reason not to serve
  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;
  int64_t shutdown_timeout_ms = 0;
  std::vector<std::string> warnings;  // of the settings, for the log
};

// Returns the exit code: 0 after a clean end by SIGTERM or SIGINT, 1 with a line on stderr otherwise.
int serve(const ServeOptions& options);

}  // namespace tidemark::tools
