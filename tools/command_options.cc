#include "tools/command_options.h"

#include "tools/serve_command.h"
#include "tools/settings.h"

namespace tidemark::tools {

void add_data_dir(CLI::App& command, std::string& data_dir) {
  command
      .add_option("--data-dir", data_dir,
                  "Folder of the store, served or not. Also by " + environment_name("data-dir") +
                      ". Default: " + ServeArguments().data_dir)
      ->type_name("DIR");
}

void add_json(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print the answer as JSON");
}

}  // namespace tidemark::tools
