#include "tools/admin_command.h"

#include <algorithm>
#include <boost/json.hpp>

#include "tools/answer.h"
#include "tools/command_options.h"
#include "tools/store_access.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

// --- What is written.

CLI::App* add_command(CLI::App& group, const char* command, const char* name, const char* about,
                      AdminArguments& arguments) {
  CLI::App* added = group.add_subcommand(name, about);
  add_data_dir(*added, arguments.data_dir);
  add_json(*added, arguments.json);
  added->callback([&arguments, command] { arguments.command = command; });
  return added;
}

void add_database_commands(CLI::App& app, AdminArguments& arguments) {
  CLI::App& db = *app.add_subcommand("db", "Databases: create, list, rename, delete, undelete, purge");
  db.require_subcommand(1);
  const auto add = [&](const char* command, const char* name, const char* about) {
    return add_command(db, command, name, about, arguments);
  };
  add("db.create", "create", "Make a database, and the store if there is none yet")
      ->add_option("NAME", arguments.name,
                   "1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit")
      ->required();
  add("db.list", "list", "List all databases, deleted ones too");
  CLI::App* rename = add("db.rename", "rename", "Give a database another name; its URL by id stays");
  rename->add_option("OLD", arguments.name)->required();
  rename->add_option("NEW", arguments.new_name)->required();
  CLI::App* remove = add("db.delete", "delete", "Delete a database; it can be brought back for 7 days");
  remove->add_option("NAME", arguments.name)->required();
  remove->add_flag("--now", arguments.now, "Remove it for good, at once");
  add("db.undelete", "undelete", "Bring a deleted database back")
      ->add_option("NAME", arguments.name, "Its name, for the one that was deleted last, or its id")
      ->required();
  add("db.purge", "purge", "Remove deleted databases for good, at once")
      ->add_option("NAME", arguments.name, "Only this one; its name or its id");
}

void add_token_commands(CLI::App& app, AdminArguments& arguments) {
  CLI::App& token = *app.add_subcommand("token", "Access tokens: create, list, revoke");
  token.require_subcommand(1);
  const auto add = [&](const char* command, const char* name, const char* about) {
    return add_command(token, command, name, about, arguments);
  };
  CLI::App* create =
      add("token.create", "create", "Make an access token, and the store if there is none yet");
  CLI::Option* database = create
                              ->add_option("--database", arguments.databases,
                                           "A database that it opens; may be given several times")
                              ->type_name("NAME")
                              ->expected(1)
                              ->take_all();
  create->add_flag("--all", arguments.all, "It opens all databases, also those made later")
      ->excludes(database);
  create->add_flag("--read-only", arguments.read_only, "It does not write");
  create->add_option("--label", arguments.label, "What it is for")->type_name("TEXT");
  add("token.list", "list", "List the access tokens; not the secrets, which are not kept");
  add("token.revoke", "revoke", "Make an access token, and all that was got with it, useless at once")
      ->add_option("ID", arguments.id, "As token list shows it")
      ->required();
}

std::string request_of(const AdminArguments& arguments) {
  const std::string& command = arguments.command;
  json::object out;
  if (arguments.name) out["name"] = *arguments.name;
  if (command == "db.rename") out["newName"] = arguments.new_name;
  if (arguments.now) out["now"] = true;
  if (!arguments.databases.empty()) {
    out["databases"] = json::array(arguments.databases.begin(), arguments.databases.end());
  }
  if (arguments.all) out["all"] = true;
  if (arguments.read_only) out["readOnly"] = true;
  if (!arguments.label.empty()) out["label"] = arguments.label;
  if (command == "token.revoke") out["id"] = arguments.id;
  return json::serialize(out);
}

// --- What is printed.

using Row = std::vector<std::string>;

std::string table(const std::vector<Row>& rows) {
  std::string out;
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      out += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out += row.back() + "\n";
  }
  return out;
}

std::string state_of(const json::object& database) {
  const std::string until = text_in(database, "purgeAfter");
  return text_in(database, "state") + (until.empty() ? "" : " until " + until);
}

std::string opened_by(const json::object& token) {
  const json::value* databases = token.if_contains("databases");
  std::string out;
  if (const json::array* list = databases == nullptr ? nullptr : databases->if_array()) {
    for (const json::value& one : *list) {
      const json::object* database = one.if_object();
      if (database == nullptr) continue;
      const std::string name = text_in(*database, "name");
      out += (out.empty() ? "" : ", ") + (name.empty() ? text_in(*database, "id") : name);
    }
  } else {
    out = "all databases";
  }
  if (flag_in(token, "readOnly")) out += " (read only)";
  return out;
}

std::string show_databases(const json::object& answer) {
  std::vector<Row> rows = {{"NAME", "STATE", "ID", "URL"}};
  for (const json::value& one : array_in(answer, "databases")) {
    const json::object* database = one.if_object();
    if (database == nullptr) continue;
    rows.push_back({text_in(*database, "name"), state_of(*database), text_in(*database, "id"),
                    text_in(*database, "url")});
  }
  return table(rows);
}

std::string show_tokens(const json::object& answer) {
  std::vector<Row> rows = {{"ID", "MADE", "OPENS", "LABEL"}};
  for (const json::value& one : array_in(answer, "tokens")) {
    const json::object* token = one.if_object();
    if (token == nullptr) continue;
    rows.push_back(
        {text_in(*token, "id"), text_in(*token, "createdAt"), opened_by(*token), text_in(*token, "label")});
  }
  return table(rows);
}

std::string show_database(const char* what, const json::object& database) {
  return what + std::string(" the database '") + text_in(database, "name") + "'\n" +
         table({{"id", text_in(database, "id")},
                {"url", text_in(database, "url")},
                {"state", state_of(database)}});
}

std::string show(const AdminArguments& arguments, const json::object& answer) {
  const std::string& command = arguments.command;
  if (command == "db.list") return show_databases(answer);
  if (command == "token.list") return show_tokens(answer);
  if (command == "db.create") return show_database("made", answer);
  if (command == "db.rename") return show_database("renamed", answer);
  if (command == "db.undelete") return show_database("brought back", answer);
  if (command == "db.delete") return show_database(arguments.now ? "removed" : "deleted", answer);
  if (command == "db.purge") {
    const json::value* purged = answer.if_contains("purged");
    return "databases removed for good: " + (purged == nullptr ? "" : json::serialize(*purged)) + "\n";
  }
  if (command == "token.revoke") return "revoked the token " + text_in(answer, "id") + "\n";
  return "made the token " + text_in(answer, "id") + ", which is shown this once only\n" +
         table({{"token", text_in(answer, "token")}, {"opens", opened_by(answer)}});
}

}  // namespace

void add_admin_commands(CLI::App& app, AdminArguments& arguments) {
  add_database_commands(app, arguments);
  add_token_commands(app, arguments);
}

Result<std::string> administer(const std::string& data_dir, std::string_view command,
                               std::string_view arguments, LineSink& lines) {
  StoreAccess store(data_dir,
                    command == "db.create" || command == "token.create" || command == "import.sqlite");
  Result<std::string> answer = store.run(command, arguments, lines);
  const Status closed = store.close();
  if (answer && !closed) return fail_within("it is done, but", closed.error());
  return answer;
}

Result<std::string> run_admin_command(const AdminArguments& arguments) {
  NoLines no_lines;
  TM_ASSIGN(const std::string answer,
            administer(data_dir_of(arguments.data_dir), arguments.command, request_of(arguments), no_lines));
  if (arguments.json) return answer + "\n";
  TM_ASSIGN(const json::object object, parse_answer(answer));
  return show(arguments, object);
}

}  // namespace tidemark::tools
