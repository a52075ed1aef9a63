// Settings of `serve` as a test gives them, with an environment that holds no others.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tools/serve_command.h"

namespace tidemark::tools {

class ServeSettingsTest : public ::testing::Test {
 protected:
  ServeSettingsTest() { clear_environment(); }
  ~ServeSettingsTest() override { clear_environment(); }

  struct Checked {
    ServeOptions options;
    std::vector<Error> problems;
    std::string description;
  };

  // Parses and checks, as the program does; what CLI11 refuses comes as a problem too.
  static Checked check(const std::vector<std::string>& words) {
    CLI::App app;
    app.require_subcommand(1);
    ServeArguments arguments;
    CLI::App* const serve = add_serve_command(app, arguments);
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      app.parse(reversed);
    } catch (const CLI::ParseError& error) {
      return {{}, {{ErrorCode::kInvalidArgument, error.what()}}, ""};
    }
    Settings settings(*serve);
    ServeOptions options = check_serve_arguments(arguments, settings);
    return {std::move(options), settings.problems(), settings.describe()};
  }

 private:
  static void clear_environment() {
    unsetenv("DENO_KV_ACCESS_TOKEN");
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text(*entry);
      if (text.starts_with("TIDEMARK_")) names.emplace_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names) unsetenv(name.c_str());
  }
};

}  // namespace tidemark::tools
