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
  bool with_restore = false;  // verify
  std::string keep;           // prune
};

// Adds the subcommands. `arguments` must outlive `app`.
void add_backup_commands(CLI::App& app, BackupArguments& arguments);

// Does the command and prints what came of it. Gives the exit code: 0; 1 if something failed or a backup is
// not whole; 2 if what was written is at fault. Errors are one line on stderr.
int run_backup_command(const BackupArguments& arguments);

}  // namespace tidemark::tools
