// The command line of `tidemark db` and `tidemark token`, and what it prints.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

// What was written.
struct AdminArguments {
  std::string command;  // of admin.h; empty if another subcommand was given
  std::string data_dir;
  bool json = false;
  std::optional<std::string> name;
  std::string new_name;
  bool now = false;
  std::vector<std::string> databases;
  bool all = false;
  bool read_only = false;
  std::string label;
  std::string id;
};

// Adds the subcommands. `arguments` must outlive `app`.
void add_admin_commands(CLI::App& app, AdminArguments& arguments);

// Does the command, wherever the store is: opens it, or, if it is being served, asks its server. The result
// is the text for stdout. Errors are one line: kInvalidArgument if what was written is at fault.
Result<std::string> run_admin_command(const AdminArguments& arguments);

// As the store in `data_dir` takes commands: see admin.h.
Result<std::string> administer(const std::string& data_dir, std::string_view command,
                               std::string_view arguments, LineSink& lines);

}  // namespace tidemark::tools
