// The command line of `tidemark fsck`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace tidemark::tools {

// What was written.
struct FsckArguments {
  bool chosen = false;  // this subcommand was given
  std::string data_dir;
  std::optional<std::string> database;
  bool deep = false;
  std::optional<std::string> repair_dir;
  bool json = false;
};

// Exit codes.
inline constexpr int kFsckClean = 0;
inline constexpr int kFsckNotChecked = 1;
inline constexpr int kFsckWrongArguments = 2;
inline constexpr int kFsckMinor = 3;
inline constexpr int kFsckMajor = 4;

// Adds the subcommand. `arguments` must outlive `app`.
void add_fsck_command(CLI::App& app, FsckArguments& arguments);

// Checks, or repairs, and prints what was found. Returns the exit code.
int run_fsck_command(const FsckArguments& arguments);

}  // namespace tidemark::tools
