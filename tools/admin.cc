#include "tools/admin.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <vector>

#include "server/backup/follower.h"
#include "server/kv/json_text.h"
#include "server/kv/moment.h"
#include "server/kv/tuple_key.h"
#include "tools/admin_commands.h"

namespace tidemark::tools {
namespace {

constexpr size_t kMaxKeyDepth = 4;

}  // namespace

Result<std::string> Admin::run(std::string_view command, std::string_view arguments, LineSink& lines) {
  static const std::vector<AdminCommand> all = [] {
    std::vector<AdminCommand> commands;
    for (const auto& group : {store_commands(), pitr_commands(), dump_commands(), transfer_commands(),
                              report_commands(), backup_commands()})
      std::ranges::copy(group, std::back_inserter(commands));
    return commands;
  }();
  const auto place = std::ranges::find(all, command, &AdminCommand::name);
  if (place == all.end()) return fail(ErrorCode::kNotFound, "there is no such command");
  TM_ASSIGN(CommandArguments parsed, CommandArguments::parse(arguments));
  TM_ASSIGN(const boost::json::object answer,
            place->run({host_, base_url_, parts_.backups, parts_.replica, lines}, parsed));
  return boost::json::serialize(answer);
}

Result<host::DatabaseRef> open_database(const AdminContext& context, CommandArguments& arguments) {
  return context.host.open_and_wait(arguments.string("database").value_or(host::kDefaultDatabaseName));
}

Status check_own(const Database& database) {
  TM_ASSIGN(const std::string source, backup::Follower::followed_by(database));
  if (source.empty()) return {};
  return fail(ErrorCode::kReadOnly,
              "the database follows the backup in " + source +
                  " and takes no writes of its own: tidemark promote makes it a primary");
}

Status check_room(const host::Host& host) {
  if (!host.disk_state().full) return {};
  return fail(ErrorCode::kNoSpace,
              "the store has reached the size that it may have (--max-disk-bytes), so nothing was written");
}

Result<kv::Moment> resolve_moment(const AdminContext& context, const Database& database,
                                  const std::string& text) {
  const std::optional<kv::MomentName> name = kv::parse_moment(text);
  if (!name)
    return fail(
        ErrorCode::kInvalidArgument,
        "'" + text + "' is no moment: it must be a versionstamp of 20 hex digits or a time with a zone");
  return kv::resolve(database, *name, context.host.engine().clock().wall_us() / 1000);
}

Result<std::string> parse_key_prefix(const std::string& text) {
  Result<boost::json::value> form = kv::parse_json(text, kMaxKeyDepth);
  if (!form) return fail_within("the prefix", form.error());
  Result<std::string> prefix = kv::key_from_form(*form);
  if (!prefix) return fail_within("the prefix", prefix.error());
  return prefix;
}

}  // namespace tidemark::tools
