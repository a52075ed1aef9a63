// What a command of administration is made of (admin.h tells what there is). Each group of them is a file of
// its own, which gives its part of the table.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/options.h"
#include "server/host/host.h"
#include "tools/command_arguments.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

class BackupDriver;
class Replica;

struct AdminContext {
  host::Host& host;
  const std::string& base_url;  // empty if the store is not being served
  BackupDriver* backups;        // null if the store is not being served
  Replica* replica;             // null if it follows no backup
  LineSink& lines;

  bool served() const { return !base_url.empty(); }
  // Nothing: only its server knows.
  std::optional<Retention> retention_of(const host::DatabaseRecord& record) const {
    return served() ? host.retention_of(record.settings) : record.settings.retention;
  }
};

struct AdminCommand {
  std::string_view name;
  Result<boost::json::object> (*run)(const AdminContext& context, CommandArguments& arguments);
};

// db.* and token.*
std::span<const AdminCommand> store_commands();
// dump and load.batch
std::span<const AdminCommand> dump_commands();
// import.sqlite and export.sqlite
std::span<const AdminCommand> transfer_commands();
// stats
std::span<const AdminCommand> report_commands();
// backup.*
std::span<const AdminCommand> backup_commands();
// pitr.*, compact
std::span<const AdminCommand> pitr_commands();

// The database that the argument `database` names, or `default`; opened if need be, waiting for that. The
// caller lets go of it before the command ends.
Result<host::DatabaseRef> open_database(const AdminContext& context, CommandArguments& arguments);

// kReadOnly, with what to do, if the database follows a backup: then it takes no writes of its own.
Status check_own(const Database& database);
// kNoSpace when the store has reached the size that it may have.
Status check_room(const host::Host& host);
// What a moment that means the same everywhere (kv::parse_moment()) is in a database. kInvalidArgument,
// kBeyondHorizon, with a sentence.
Result<kv::Moment> resolve_moment(const AdminContext& context, const Database& database,
                                  const std::string& text);
// The bytes of a key, of its form as JSON (kv::key_form()).
Result<std::string> parse_key_prefix(const std::string& text);

}  // namespace tidemark::tools
