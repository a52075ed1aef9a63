// The command line of `tidemark load`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "engine/base/status.h"

namespace tidemark::tools {

struct LoadArguments {
  bool chosen = false;  // this subcommand was given
  std::string data_dir = {};
  std::string file = "-";  // "-": stdin
  std::string database = "default";
  bool all = false;      // into those that the file names
  uint64_t batch = 500;  // lines
  bool resume = false;
  bool json = false;
};

// Adds the subcommand. `arguments` must outlive `app`.
void add_load_command(CLI::App& app, LoadArguments& arguments);

// Loads the file. The result is the text for stdout. Errors are one line, which says how far it came:
// kInvalidArgument if the command line or a line of the file is at fault.
Result<std::string> run_load_command(const LoadArguments& arguments);

}  // namespace tidemark::tools
