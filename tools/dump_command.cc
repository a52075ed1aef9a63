#include "tools/dump_command.h"

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "engine/io/clock.h"
#include "tools/answer.h"
#include "tools/command_options.h"
#include "tools/moment_text.h"
#include "tools/store_access.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr char kUnfinished[] = ".unfinished";

Result<std::string> request_of(const DumpArguments& arguments, const std::string& database) {
  json::object out;
  if (!database.empty()) out["database"] = database;
  if (!arguments.at.empty()) {
    TM_ASSIGN(out["at"], everywhere_moment(arguments.at, system_clock().wall_us() / 1000));
  }
  if (!arguments.prefix.empty()) out["prefix"] = arguments.prefix;
  if (arguments.history) out["history"] = true;
  return json::serialize(out);
}

Status write_lines(const DumpArguments& arguments, std::FILE* file) {
  StoreAccess store(data_dir_of(arguments.data_dir), false);
  FileLines lines(file);
  std::vector<std::string> databases = {arguments.database};
  if (arguments.all) {
    TM_ASSIGN(databases, database_names(store));
  }
  for (const std::string& database : databases) {
    TM_ASSIGN(const std::string request, request_of(arguments, database));
    const Result<std::string> answer = store.run("dump", request, lines);
    if (!answer) return std::unexpected(answer.error());
  }
  TM_TRY(lines.flush());
  return store.close();
}

std::unexpected<Error> file_failure(const std::string& path) {
  return fail(ErrorCode::kIo, path + ": " + std::generic_category().message(errno));
}

}  // namespace

void add_dump_command(CLI::App& app, DumpArguments& arguments) {
  CLI::App* const dump =
      app.add_subcommand("dump", "Write a database as JSON, a line for each entry, while it is in use");
  add_data_dir(*dump, arguments.data_dir);
  CLI::Option* const database =
      dump->add_option("--database", arguments.database, "Which; default: default")->type_name("NAME");
  CLI::Option* const all =
      dump->add_flag("--all", arguments.all, "All databases, one after the other")->excludes(database);
  CLI::Option* const prefix =
      dump->add_option("--prefix", arguments.prefix,
                       "Only this key and those that begin with its parts; as in a dump, e.g. '[\"users\"]'")
          ->type_name("KEY");
  CLI::Option* const at =
      dump->add_option("--at", arguments.at, "As it was at this moment, as for pitr; default: as it is")
          ->type_name("MOMENT");
  CLI::Option* const history =
      dump->add_flag("--history", arguments.history, "All versions that are kept, and what was deleted");
  CLI::Option* const output =
      dump->add_option("--output,-o", arguments.output, "Write to this file; default: to stdout")
          ->type_name("FILE");
  CLI::Option_group* const files = add_file_dump_options(*dump, arguments.files);
  for (CLI::Option* const other : {database, all, prefix, at, history, output}) files->excludes(other);
  dump->callback([&arguments] { arguments.chosen = true; });
}

Status run_dump_command(const DumpArguments& arguments) {
  if (arguments.output.empty()) return write_lines(arguments, stdout);
  const std::string unfinished = arguments.output + kUnfinished;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(unfinished.c_str(), "wbe"));
  if (file == nullptr) return file_failure(unfinished);
  const Status written = write_lines(arguments, file.get());
  const bool closed = std::fclose(file.release()) == 0;
  std::error_code error;
  if (!written || !closed) {
    std::filesystem::remove(unfinished, error);
    return written ? file_failure(unfinished) : written;
  }
  std::filesystem::rename(unfinished, arguments.output, error);
  if (error) return fail(ErrorCode::kIo, arguments.output + ": " + error.message());
  return {};
}

}  // namespace tidemark::tools
