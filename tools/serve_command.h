// The command line of `tidemark serve`.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "tools/serve.h"

namespace tidemark::tools {

// What was written, before it was checked.
struct ServeArguments {
  std::string data_dir;
  std::string address = "0.0.0.0:4512";
  std::string access_token;
  std::string access_token_file;
  std::string history_retention = "7d";
  std::string history_max_bytes;
  std::string block_cache_bytes = "256M";
  std::string public_url;
  std::string shutdown_timeout = "10s";
  // Of denokv's command line.
  std::string sqlite_path;
  std::string num_workers;
  std::string atomic_write_batch_timeout_ms;
};

inline constexpr char kDefaultDataDir[] = "./data";
inline constexpr char kDataDirVariable[] = "TIDEMARK_DATA_DIR";
inline constexpr char kAccessTokenVariable[] = "DENO_KV_ACCESS_TOKEN";

// Adds the subcommand, and to `app` the options that may stand before it. `arguments` must outlive `app`.
CLI::App* add_serve_command(CLI::App& app, ServeArguments& arguments);

// The data folder: `given` on the command line, else the environment's, else the default.
std::string data_dir_of(const std::string& given);

// kInvalidArgument, with one line, for what is wrong with the arguments; other errors if the token's file
// cannot be read. Prints warnings for what is accepted and without effect.
Result<ServeOptions> check_serve_arguments(const ServeArguments& arguments);

}  // namespace tidemark::tools
