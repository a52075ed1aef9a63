// The command line of `tidemark import`, `tidemark export` and `tidemark stats`, and what it prints.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/base/status.h"

namespace tidemark::tools {

// What was written.
struct TransferArguments {
  std::string command;  // of admin.h; empty if another subcommand was given
  std::string data_dir;
  bool json = false;
  std::string database;
  std::string file;
  std::string at;
};

// Adds the subcommands. `arguments` must outlive `app`.
void add_transfer_commands(CLI::App& app, TransferArguments& arguments);

// Does the command, wherever the store is, as run_admin_command() does.
Result<std::string> run_transfer_command(const TransferArguments& arguments);

}  // namespace tidemark::tools
