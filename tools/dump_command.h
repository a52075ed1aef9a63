// The command line of `tidemark dump`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/base/status.h"
#include "tools/file_dump.h"

namespace tidemark::tools {

struct DumpArguments {
  bool chosen = false;  // this subcommand was given
  std::string data_dir = {};
  std::string database = {};
  bool all = false;
  std::string at = {};
  std::string prefix = {};
  bool history = false;
  std::string output = {};
  FileDumpArguments files = {};  // instead: one file of a database
};

// Adds the subcommand. `arguments` must outlive `app`.
void add_dump_command(CLI::App& app, DumpArguments& arguments);

// Writes the lines to stdout or to a file, which is there under its name only when it is whole. Errors are
// one line: kInvalidArgument if what was written on the command line is at fault.
Status run_dump_command(const DumpArguments& arguments);

}  // namespace tidemark::tools
