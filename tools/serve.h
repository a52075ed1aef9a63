// `tidemark serve`: opens a store and answers KV Connect until a signal ends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/options.h"

namespace tidemark::tools {

// Checked already.
struct ServeOptions {
  std::string data_dir;
  std::string address;       // HOST:PORT
  std::string access_token;  // may be empty: only the store's own tokens open it
  std::string public_url;    // may be empty
  Retention retention;
  std::optional<uint64_t> history_max_bytes;
  uint64_t block_cache_bytes = EngineOptions{}.block_cache_bytes;
  int64_t shutdown_timeout_ms = 0;
};

// Returns the exit code: 0 after a clean end by SIGTERM or SIGINT, 1 with one line on stderr otherwise.
int serve(const ServeOptions& options);

}  // namespace tidemark::tools
