// import.sqlite and export.sqlite.
#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "server/host/database_name.h"
#include "tools/admin_commands.h"
#include "tools/sqlite_export.h"
#include "tools/sqlite_import.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

Result<std::string> absolute_path(CommandArguments& arguments) {
  std::string path = arguments.required_string("file");
  TM_TRY(arguments.finish());
  // What is relative would be so to the server's folder, not to that of who asks.
  if (!path.starts_with('/')) return fail(ErrorCode::kInvalidArgument, "'file' is not an absolute path");
  return path;
}

TransferProgress progress_to(LineSink& lines) {
  return [&lines](const std::string& text) { return lines.progress(text); };
}

// The import failed, and the database had been made for it: removed, unless it is in use by now.
void take_back(host::Host& host, const std::string& name, host::DatabaseRef database) {
  const Result<host::DatabaseRecord> deleted = host.delete_database(name);
  if (!deleted) return;
  // Nothing new begins from here on, so what is there now was written by somebody.
  const bool written = database->database().durable() != Versionstamp::min();
  database.reset();
  const std::string id = deleted->id.text();
  (void)(written ? host.undelete_database(id) : host.purge_database(id)).has_value();
}

Result<json::object> import_sqlite(const AdminContext& context, CommandArguments& arguments) {
  host::Host& host = context.host;
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  TM_ASSIGN(const std::string path, absolute_path(arguments));
  TM_TRY(host::check_database_name(name));
  if (host.read_only()) return fail(ErrorCode::kReadOnly, "the store is being served read-only");
  TM_TRY(check_room(host));
  const TransferProgress progress = progress_to(context.lines);

  host::DatabaseRef database;
  const bool made = !host.id_of(name).has_value();
  if (!made) {
    TM_ASSIGN(database, host.open_and_wait(name));
    TM_TRY(check_never_written(database->database(), name));
  }
  TM_ASSIGN(const std::unique_ptr<SqliteImport> import, SqliteImport::open(path, progress));
  TM_TRY(import->verify());
  if (made) {
    TM_ASSIGN(const host::DatabaseRecord record, host.create_database(name));
    TM_ASSIGN(database, host.open_and_wait(record.name));
  }
  const int64_t now_ms = host.engine().clock().wall_us() / 1000;
  Result<SqliteImportCounts> counts = import->run(database->database(), now_ms);
  if (!counts) {
    const Status written = check_never_written(database->database(), name);
    if (made && counts.error().code != ErrorCode::kUnknownOutcome) take_back(host, name, std::move(database));
    // Somebody may have begun to use the database meanwhile.
    if (!written && counts.error().code == ErrorCode::kInvalidArgument)
      return std::unexpected(written.error());
    return std::unexpected(counts.error());
  }
  database->store().changed_widely(counts->earliest_expiry_ms);
  return json::object{{"database", name},
                      {"created", made},
                      {"entries", counts->entries},
                      {"bytes", counts->bytes},
                      {"expiring", counts->expiring},
                      {"expiredLeftOut", counts->expired},
                      {"messages", counts->messages},
                      {"messagesBeingDelivered", counts->being_delivered},
                      {"versionstamp", counts->head.hex()}};
}

Result<json::object> export_to_sqlite(const AdminContext& context, CommandArguments& arguments) {
  host::Host& host = context.host;
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  const std::optional<std::string> at = arguments.string("at");
  TM_ASSIGN(const std::string path, absolute_path(arguments));
  TM_ASSIGN(const host::DatabaseRef hosted, host.open_and_wait(name));
  Database& database = hosted->database();

  std::shared_ptr<Snapshot> snapshot;
  // What has expired is judged by the time of the state that is written.
  int64_t now_ms = std::max(host.engine().clock().wall_us() / 1000, database.head_timestamp_ms());
  if (at) {
    TM_ASSIGN(const kv::Moment moment, resolve_moment(context, database, *at));
    TM_ASSIGN(snapshot, database.pin(moment.stamp));
    now_ms = moment.now_ms;
  } else {
    snapshot = database.pin_head();
  }
  const Result<SqliteExportCounts> counts = export_sqlite(
      database, *snapshot, now_ms, host.engine().file_system(), path, progress_to(context.lines));
  if (!counts) return std::unexpected(counts.error());
  return json::object{{"database", name},
                      {"versionstamp", snapshot->versionstamp().hex()},
                      {"entries", counts->entries},
                      {"bytes", counts->bytes},
                      {"expiredLeftOut", counts->expired},
                      {"messages", counts->messages},
                      {"versionstampsCut", counts->cut_versionstamps},
                      {"fileBytes", counts->file_bytes}};
}

constexpr std::array<AdminCommand, 2> kCommands = {
    {{"import.sqlite", import_sqlite}, {"export.sqlite", export_to_sqlite}}};

}  // namespace

std::span<const AdminCommand> transfer_commands() {
  return kCommands;
}

}  // namespace tidemark::tools
