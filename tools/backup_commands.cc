// Backups of a store's databases, as their administration sees them.
#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/entropy.h"
#include "server/backup/probe.h"
#include "server/backup/verify.h"
#include "tools/admin_commands.h"
#include "tools/backup_driver.h"
#include "tools/backup_location.h"
#include "tools/replica.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

using Answer = Result<json::object>;

const char* state_name(backup::ShipperState state) {
  switch (state) {
    case backup::ShipperState::kPending:
      return "pending";
    case backup::ShipperState::kActive:
      return "active";
    case backup::ShipperState::kFailed:
      break;
  }
  return "failed";
}

std::string key_prefix(const backup::Target& target) {
  return target.kind == backup::Target::Kind::kS3 ? target.prefix : target.path + "/";
}

void add_report(json::object& out, const BackupDriver::DatabaseBackup& one) {
  const backup::ShipperStatus& status = one.report->status;
  out["state"] = state_name(status.state);
  out["message"] = status.message;
  if (!status.prefix.empty()) out["prefix"] = key_prefix(*one.target) + status.prefix;
  out["shipped"] = {{"versionstamp", status.shipped.stamp.hex()},
                    {"time", format_time(status.shipped.timestamp_ms)}};
  if (status.last_success_ms != 0) out["lastSuccess"] = format_time(status.last_success_ms);
  out["logObjects"] = status.log_objects;
  out["logBytes"] = status.log_bytes;
  out["snapshotEntries"] = status.snapshot_entries;
  out["snapshotBytes"] = status.snapshot_bytes;
  out["lag"] = {{"commits", one.lag.commits},
                {"bytes", one.lag.bytes},
                {"ms", one.lag.ms},
                {"atLeast", one.lag.at_least}};
}

json::object replica_json(const ReplicaStatus& status, int64_t now_ms) {
  json::object out = {{"source", status.source},
                      {"generation", status.generation},
                      {"message", status.message},
                      {"versionstamp", status.head.stamp.hex()},
                      {"time", format_time(status.head.timestamp_ms)},
                      {"commits", status.commits}};
  // How long ago it had everything.
  if (status.checked_ms != 0) out["staleMs"] = std::max<int64_t>(now_ms - status.checked_ms, 0);
  return out;
}

Answer show_status(const AdminContext& context, CommandArguments& arguments) {
  const auto only = arguments.string("database");
  TM_TRY(arguments.finish());
  if (only) TM_TRY(context.host.database(*only));
  const int64_t now_ms = context.host.engine().clock().wall_us() / 1000;
  json::array databases;
  const auto add = [&](const BackupDriver::DatabaseBackup& one) {
    if (only && one.record.name != *only) return;
    json::object out = {{"id", one.record.id.text()}, {"name", one.record.name}};
    out["enabled"] = one.target.has_value();
    if (one.target) {
      out["target"] = backup::target_url(*one.target);
      out["where"] = backup::describe(*one.target) + one.id + "/";
    }
    if (!one.problem.empty()) {
      out["state"] = "failed";
      out["message"] = one.problem;
    } else if (one.report) {
      add_report(out, one);
    }
    databases.push_back(std::move(out));
  };
  if (context.backups != nullptr) {
    for (const auto& one : context.backups->statuses()) add(one);
  } else {
    for (const host::DatabaseRecord& record : context.host.databases()) {
      if (record.gone()) continue;
      BackupDriver::DatabaseBackup one;
      one.record = record;
      one.id = record.id.text();
      if (const auto& setting = record.settings.backup; setting && setting->enabled) {
        if (auto target = backup::parse_target(setting->target)) one.target = std::move(*target);
      }
      add(one);
    }
  }
  json::object out = {{"served", context.backups != nullptr}, {"databases", std::move(databases)}};
  if (context.replica != nullptr && context.replica->follows())
    out["replica"] = replica_json(context.replica->status(), now_ms);
  return out;
}

Answer enable(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  const auto url = arguments.string("target");
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::DatabaseRecord before, context.host.database(name));
  host::BackupSetting setting{true, "", ""};
  std::optional<backup::Target> target;
  if (url) {
    TM_ASSIGN(target, backup::parse_target(*url));
    setting.target = backup::target_url(*target);
  } else if (context.backups != nullptr) {
    target = context.backups->target_of(std::nullopt);
  }
  if (!target)
    return fail(ErrorCode::kInvalidArgument,
                "where to? Name a place: --to s3://BUCKET/PREFIX/ or --to file:///PATH/");
  TM_ASSIGN(const auto store, open_object_store(context.host.engine(), *target, {}));
  const backup::Probe probe =
      backup::probe(*store, before.id.text() + "/", "probe-" + to_hex(random_bytes(8)));
  if (!probe.good()) return fail(ErrorCode::kDenied, probe.complaint(backup::describe(*target)));
  TM_ASSIGN(const host::DatabaseRecord record, context.host.set_backup(name, setting));
  return json::object{{"database", record.name},
                      {"target", backup::target_url(*target)},
                      {"where", backup::describe(*target) + record.id.text() + "/"},
                      {"conditionalWrites", probe.knows_conditions},
                      {"served", context.backups != nullptr}};
}

// What backup verify --restore compares a restored database with.
Answer hash(const AdminContext& context, CommandArguments& arguments) {
  const std::string at = arguments.required_string("at");
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  Database& database = hosted->database();
  TM_ASSIGN(const kv::Moment moment, resolve_moment(context, database, at));
  TM_ASSIGN(const auto pin, database.pin(moment.stamp));
  TM_ASSIGN(const std::vector<backup::RangeHash> ranges, backup::hash_ranges(database, *pin));
  json::array out;
  for (const backup::RangeHash& range : ranges)
    out.push_back(json::object{
        {"key", to_hex(range.first_key)}, {"entries", range.entries}, {"hash", std::to_string(range.hash)}});
  return json::object{{"database", hosted->name()}, {"id", hosted->id_text()}, {"ranges", std::move(out)}};
}

Answer promote(const AdminContext& context, CommandArguments& arguments) {
  TM_TRY(arguments.finish());
  if (context.replica == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "the store is not being served as a replica: start it with tidemark serve --sync-from-s3 (or "
                "--sync-from), then promote it");
  }
  TM_ASSIGN(const Promotion done, context.replica->promote());
  return json::object{{"versionstamp", done.head.stamp.hex()},
                      {"time", format_time(done.head.timestamp_ms)},
                      {"generation", done.generation},
                      {"epoch", done.epoch}};
}

Answer sync(const AdminContext& context, CommandArguments& arguments) {
  TM_TRY(arguments.finish());
  if (context.replica == nullptr)
    return fail(ErrorCode::kInvalidArgument, "the store is being served, and not as a replica");
  TM_TRY(context.replica->sync_now());
  return replica_json(context.replica->status(), context.host.engine().clock().wall_us() / 1000);
}

Answer disable(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::DatabaseRecord record,
            context.host.set_backup(name, host::BackupSetting{false, "", ""}));
  return json::object{{"database", record.name}};
}

}  // namespace

std::span<const AdminCommand> backup_commands() {
  static constexpr std::array<AdminCommand, 6> kCommands = {{
      {"backup.status", show_status},
      {"backup.enable", enable},
      {"backup.disable", disable},
      {"backup.hash", hash},
      {"pitr.sync", sync},
      {"promote", promote},
  }};
  return kCommands;
}

}  // namespace tidemark::tools
