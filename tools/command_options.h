// Options that many subcommands have.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tidemark::tools {

// --data-dir, of a store that may be served or not. The variables must outlive the command.
void add_data_dir(CLI::App& command, std::string& data_dir);
// --json
void add_json(CLI::App& command, bool& json);

}  // namespace tidemark::tools
