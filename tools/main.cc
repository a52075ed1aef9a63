// The `tidemark` program. Exit codes: 0 done, 1 it failed, 2 the arguments are wrong.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "engine/base/mutant.h"
#include "tools/admin_command.h"
#include "tools/backup_command.h"
#include "tools/dump_command.h"
#include "tools/fsck_command.h"
#include "tools/load_command.h"
#include "tools/pitr_command.h"
#include "tools/serve_command.h"
#include "tools/transfer_command.h"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongArguments = 2;

int complain(const tidemark::Error& error) {
  std::fprintf(stderr, "tidemark: %s\n", error.message.c_str());
  return error.code == tidemark::ErrorCode::kInvalidArgument ? kWrongArguments : kFailed;
}

int exit_code(const tidemark::Status& done) {
  // Whoever read the output has seen enough.
  if (!done && done.error().code == tidemark::ErrorCode::kShutdown && done.error().message.empty()) return 0;
  return done ? 0 : complain(done.error());
}

int print(const tidemark::Result<std::string>& answer) {
  if (!answer) return complain(answer.error());
  std::fputs(answer->c_str(), stdout);
  return 0;
}

int run(int argc, char** argv) {
  using namespace tidemark::tools;
  // A pipe that nobody reads from is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Tidemark: a self-hosted Deno KV server that remembers every version", "tidemark");
  app.set_version_flag("--version", "tidemark " TIDEMARK_VERSION);
  app.require_subcommand(1);
  ServeArguments arguments;
  CLI::App* const serve = add_serve_command(app, arguments);
  AdminArguments admin_arguments;
  add_admin_commands(app, admin_arguments);
  PitrArguments pitr_arguments;
  add_pitr_commands(app, pitr_arguments);
  BackupArguments backup_arguments;
  add_backup_commands(app, backup_arguments);
  DumpArguments dump_arguments;
  add_dump_command(app, dump_arguments);
  LoadArguments load_arguments;
  add_load_command(app, load_arguments);
  TransferArguments transfer_arguments;
  add_transfer_commands(app, transfer_arguments);
  FsckArguments fsck_arguments;
  add_fsck_command(app, fsck_arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version come as errors with code 0.
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "tidemark: %s (see tidemark --help)\n", error.what());
    return kWrongArguments;
  }
  // The folder may stand before the command, too.
  if (app.count("--data-dir") > 0) {
    for (std::string* dir : {&admin_arguments.data_dir, &backup_arguments.data_dir, &pitr_arguments.data_dir,
                             &dump_arguments.data_dir, &load_arguments.data_dir, &transfer_arguments.data_dir,
                             &fsck_arguments.data_dir})
      if (dir->empty()) *dir = arguments.data_dir;
  }
  if (!admin_arguments.command.empty()) return print(run_admin_command(admin_arguments));
  if (!backup_arguments.command.empty()) return run_backup_command(backup_arguments);
  if (!transfer_arguments.command.empty()) return print(run_transfer_command(transfer_arguments));
  if (load_arguments.chosen) return print(run_load_command(load_arguments));
  if (fsck_arguments.chosen) return run_fsck_command(fsck_arguments);
  if (dump_arguments.files.any()) return run_file_dump(dump_arguments.files);
  if (dump_arguments.chosen) return exit_code(run_dump_command(dump_arguments));
  if (!pitr_arguments.command.empty()) return exit_code(run_pitr_command(pitr_arguments));
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
