#include "tools/admin.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <vector>

#include "tools/admin_commands.h"

namespace tidemark::tools {

Result<std::string> Admin::run(std::string_view command, std::string_view arguments, LineSink& lines) {
  static const std::vector<AdminCommand> all = [] {
    std::vector<AdminCommand> commands;
    std::ranges::copy(store_commands(), std::back_inserter(commands));
    std::ranges::copy(dump_commands(), std::back_inserter(commands));
    return commands;
  }();
  const auto place = std::ranges::find(all, command, &AdminCommand::name);
  if (place == all.end()) return fail(ErrorCode::kNotFound, "there is no such command");
  TM_ASSIGN(CommandArguments parsed, CommandArguments::parse(arguments));
  TM_ASSIGN(const boost::json::object answer, place->run({host_, base_url_, lines}, parsed));
  return boost::json::serialize(answer);
}

Result<host::DatabaseRef> open_database(const AdminContext& context, CommandArguments& arguments) {
  return context.host.open_and_wait(arguments.string("database").value_or(host::kDefaultDatabaseName));
}

}  // namespace tidemark::tools
