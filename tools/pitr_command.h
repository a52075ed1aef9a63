// The command lines of `tidemark pitr` and `tidemark compact`, and `db retention`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/status.h"

namespace tidemark::tools {

struct PitrArguments {
  std::string command;  // of admin.h; empty if another subcommand was given
  std::string data_dir;
  std::string database;
  bool json = false;
  std::string moment;
  std::string other_moment;
  std::string start;
  std::string end;
  std::optional<uint64_t> limit;
  std::string prefix;
  std::string new_name;
  bool queues = false;
  bool dry_run = false;
  bool yes = false;
  std::string retention;
  std::string history_max;
};

// Adds the subcommands. `arguments` must outlive `app`.
void add_pitr_commands(CLI::App& app, PitrArguments& arguments);

// Does the command and prints what came of it. Errors are one line: kInvalidArgument if what was written is
// at fault, or a question was not answered with yes; kShutdown without a message if nobody reads the output
// any more.
Status run_pitr_command(const PitrArguments& arguments);

}  // namespace tidemark::tools
