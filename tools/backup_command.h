// The command lines of `tidemark backup`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/base/status.h"
#include "tools/backup_location.h"

namespace tidemark::tools {

struct BackupArguments {
  std::string command;  // empty if another subcommand was given
  std::string data_dir;
  std::string database;
  bool json = false;
  BackupLocation location;
  std::string to;  // restore: the new store
  std::string at;
};

// Adds the subcommands. `arguments` must outlive `app`.
void add_backup_commands(CLI::App& app, BackupArguments& arguments);

// Does the command. The result is the text for stdout; errors are one line: kInvalidArgument if what was
// written is at fault.
Result<std::string> run_backup_command(const BackupArguments& arguments);

}  // namespace tidemark::tools
