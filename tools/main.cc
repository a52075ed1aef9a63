// The `tidemark` program. Exit codes: 0 done, 1 it failed, 2 the arguments are wrong.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "engine/base/mutant.h"
#include "tools/admin_command.h"
#include "tools/file_dump.h"
#include "tools/fsck_command.h"
#include "tools/serve_command.h"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongArguments = 2;

int complain(const tidemark::Error& error) {
  std::fprintf(stderr, "tidemark: %s\n", error.message.c_str());
  return error.code == tidemark::ErrorCode::kInvalidArgument ? kWrongArguments : kFailed;
}

int administer_store(const tidemark::tools::AdminArguments& arguments) {
  const tidemark::Result<std::string> answer = tidemark::tools::run_admin_command(arguments);
  if (!answer) return complain(answer.error());
  std::fputs(answer->c_str(), stdout);
  return 0;
}

int run(int argc, char** argv) {
  using namespace tidemark::tools;
  CLI::App app("Tidemark: a self-hosted Deno KV server that remembers every version", "tidemark");
  app.set_version_flag("--version", "tidemark " TIDEMARK_VERSION);
  app.require_subcommand(1);
  ServeArguments arguments;
  CLI::App* const serve = add_serve_command(app, arguments);
  AdminArguments admin_arguments;
  add_admin_commands(app, admin_arguments);
  FsckArguments fsck_arguments;
  CLI::App* const fsck = add_fsck_command(app, fsck_arguments);
  FileDumpArguments file_dump_arguments;
  CLI::App* const dump = app.add_subcommand("dump", "Print a file of a database as JSON Lines");
  add_file_dump_options(*dump, file_dump_arguments)->require_option(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version come as errors with code 0.
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "tidemark: %s (see tidemark --help)\n", error.what());
    return kWrongArguments;
  }
  if (!admin_arguments.command.empty()) {
    // The folder may stand before the command, too.
    if (admin_arguments.data_dir.empty() && app.count("--data-dir") > 0)
      admin_arguments.data_dir = arguments.data_dir;
    return administer_store(admin_arguments);
  }
  if (dump->parsed()) return run_file_dump(file_dump_arguments);
  if (fsck->parsed()) {
    if (fsck_arguments.data_dir.empty() && app.count("--data-dir") > 0)
      fsck_arguments.data_dir = arguments.data_dir;
    return run_fsck_command(fsck_arguments);
  }
  return run_serve_command(*serve, arguments);
}

}  // namespace

int main(int argc, char** argv) {
#ifdef TIDEMARK_MUTANTS
  if (const char* mutant = std::getenv("TIDEMARK_MUTANT")) tidemark::chosen_mutant = mutant;
#endif
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    // Of the libraries around us: out of memory, or the command line's own.
    std::fprintf(stderr, "tidemark: %s\n", error.what());
    return kFailed;
  }
}
