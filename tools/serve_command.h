// The command line of `tidemark serve`.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tools/backup_location.h"
#include "tools/serve.h"
#include "tools/settings.h"

namespace tidemark::tools {

// What was written, before it was checked. Every default that is not empty is shown by --help.
struct ServeArguments {
  std::string data_dir = "./data";
  std::string address = "0.0.0.0:4512";
  std::string access_token;
  std::string access_token_file;
  std::string history_retention = "7d";
  std::string history_max_bytes;
  std::string max_disk_bytes;
  std::string block_cache_bytes = "256MiB";
  std::string max_value_size = "64KiB";
  std::string max_transaction_size = "800KiB";
  std::string max_checks = "100";
  std::string max_open_databases = "1000";
  std::string public_url;
  std::string advertise_replica;
  std::string signing_key_file;
  std::string tls_cert;
  std::string tls_key;
  bool read_only = false;
  bool backup_to_s3 = false;
  BackupLocation backup;
  std::string durability = "synced";
  std::string backup_interval = "1s";
  std::string backup_generation_age = "7d";
  std::string backup_keep = "30d";
  bool sync_from_s3 = false;
  std::string sync_from;
  std::string sync_interval = "1s";
  std::string metrics_address = "127.0.0.1:9464";
  std::string log_format = "text";
  std::string log_level = "info";
  std::string shutdown_timeout = "10s";
  std::string config;
  bool check_config = false;
  // Of denokv's command line.
  std::string sqlite_path;
  std::string num_workers;
  std::string atomic_write_batch_timeout_ms;
};

// Adds the subcommand, and to `app` the options that may stand before it. `arguments` must outlive `app`.
CLI::App* add_serve_command(CLI::App& app, ServeArguments& arguments);

// Completes the settings of the command, which was parsed, and checks all of them. What is wrong stands in
// settings.problems(): kInvalidArgument, or another error if the token's file cannot be read. Without
// problems the options are good.
ServeOptions check_serve_arguments(const ServeArguments& arguments, Settings& settings);

// Serves, or checks the settings only, if that was asked for. Returns the exit code.
int run_serve_command(CLI::App& serve, const ServeArguments& arguments);

}  // namespace tidemark::tools
