#include "tools/transfer_command.h"

#include <boost/json.hpp>
#include <filesystem>
#include <system_error>
#include <vector>

#include "engine/io/clock.h"
#include "server/host/host.h"
#include "tools/admin_command.h"
#include "tools/answer.h"
#include "tools/command_options.h"
#include "tools/moment_text.h"
#include "tools/sqlite_import.h"
#include "tools/stats_picture.h"
#include "tools/store_access.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

CLI::App& add_command(CLI::App& app, const char* command, const char* name, const char* about,
                      TransferArguments& arguments) {
  CLI::App* added = app.add_subcommand(name, about);
  added->add_option("--database", arguments.database, "Name of the database. Default: default")
      ->type_name("NAME");
  add_data_dir(*added, arguments.data_dir);
  add_json(*added, arguments.json);
  added->callback([&arguments, command] { arguments.command = command; });
  return *added;
}

// Before a store is made for it: that there is such a file.
Status check_file(const TransferArguments& arguments, const std::string& data_dir, const std::string& path) {
  std::error_code ignored;
  if (arguments.command != "import.sqlite" ||
      std::filesystem::exists(host::Host::catalog_dir(data_dir), ignored)) {
    return {};
  }
  const TransferProgress silent = [](const std::string&) -> Status { return {}; };
  TM_ASSIGN(const auto import, SqliteImport::open(path, silent));
  return import->verify();
}

std::string rows_of(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out;
  for (const auto& [name, text] : rows) out += name + std::string(16 - name.size(), ' ') + text + "\n";
  return out;
}

std::string show_import(const std::string& path, const json::object& answer) {
  const auto entries = [&] {
    std::string out =
        std::to_string(number_in(answer, "entries")) + ", " + human_bytes(number_in(answer, "bytes"));
    if (number_in(answer, "expiring") > 0)
      out += "; " + std::to_string(number_in(answer, "expiring")) + " of them expire";
    return out;
  };
  std::vector<std::pair<std::string, std::string>> rows = {{"entries", entries()}};
  if (number_in(answer, "expiredLeftOut") > 0)
    rows.emplace_back("left out", std::to_string(number_in(answer, "expiredLeftOut")) + " that have expired");
  std::string messages = std::to_string(number_in(answer, "messages"));
  if (number_in(answer, "messagesBeingDelivered") > 0) {
    messages += "; " + std::to_string(number_in(answer, "messagesBeingDelivered")) +
                " of them were being delivered, and will be again";
  }
  rows.emplace_back("queue messages", messages);
  rows.emplace_back("versionstamp", text_in(answer, "versionstamp"));
  return "imported " + path + " into the database '" + text_in(answer, "database") + "'\n" + rows_of(rows);
}

std::string show_export(const std::string& path, const json::object& answer) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"versionstamp", text_in(answer, "versionstamp")},
      {"entries",
       std::to_string(number_in(answer, "entries")) + ", " + human_bytes(number_in(answer, "bytes"))}};
  if (number_in(answer, "expiredLeftOut") > 0)
    rows.emplace_back("left out", std::to_string(number_in(answer, "expiredLeftOut")) + " that had expired");
  rows.emplace_back("queue messages", std::to_string(number_in(answer, "messages")));
  if (number_in(answer, "versionstampsCut") > 0) {
    rows.emplace_back("versionstamps", std::to_string(number_in(answer, "versionstampsCut")) +
                                           " do not end in 0000, which a SQLite file has no room for: their "
                                           "last four digits read 0000 there");
  }
  rows.emplace_back("file", human_bytes(number_in(answer, "fileBytes")));
  return "exported the database '" + text_in(answer, "database") + "' to " + path + "\n" + rows_of(rows);
}

}  // namespace

void add_transfer_commands(CLI::App& app, TransferArguments& arguments) {
  add_command(app, "import.sqlite", "import", "Move in: make a database of a SQLite file of denokv or Deno",
              arguments)
      .add_option("--from-sqlite", arguments.file, "The file; it is only read. The database must be new")
      ->type_name("FILE")
      ->required();
  CLI::App& out = add_command(app, "export.sqlite", "export",
                              "Move out: write a database to a SQLite file for Deno or denokv", arguments);
  out.add_option("--to-sqlite", arguments.file, "The file to make; there must be none of that name")
      ->type_name("FILE")
      ->required();
  out.add_option("--at", arguments.at, "As the database was then, rather than as it is")->type_name("MOMENT");
  add_command(app, "stats", "stats", "What is in a database: sizes, versions, largest prefixes, backlogs",
              arguments);
}

Result<std::string> run_transfer_command(const TransferArguments& arguments) {
  const std::string data_dir = data_dir_of(arguments.data_dir);
  json::object request;
  if (!arguments.database.empty()) request["database"] = arguments.database;
  if (!arguments.at.empty()) {
    TM_ASSIGN(request["at"], everywhere_moment(arguments.at, system_clock().wall_us() / 1000));
  }
  std::string path;
  if (arguments.command != "stats") {
    std::error_code error;
    path = std::filesystem::absolute(arguments.file, error).string();
    if (error || arguments.file.empty()) {
      return fail(ErrorCode::kInvalidArgument, "'" + arguments.file + "' is no path of a file");
    }
    TM_TRY(check_file(arguments, data_dir, path));
    request["file"] = path;
  }
  std::string answer;
  {
    FileLines progress(stdout);
    TM_ASSIGN(answer, administer(data_dir, arguments.command, json::serialize(request), progress));
  }
  if (arguments.json) return answer + "\n";
  TM_ASSIGN(const json::object object, parse_answer(answer));
  if (arguments.command == "import.sqlite") return show_import(path, object);
  if (arguments.command == "export.sqlite") return show_export(path, object);
  return stats_picture(object);
}

}  // namespace tidemark::tools
