// stats.
#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "engine/base/time_text.h"
#include "server/kv/tuple_key.h"
#include "tools/admin_commands.h"
#include "tools/database_report.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

json::value or_null(std::optional<double> number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::object describe(const DatabaseReport::Sum& sum) {
  return {{"entries", sum.entries}, {"bytes", sum.bytes}};
}

json::object describe(const LevelStats& level) {
  return {{"segments", level.segments},
          {"bytes", level.bytes},
          {"entries", level.entries},
          {"tombstones", level.tombstones}};
}

json::object describe(const DatabaseReport& report) {
  const DatabaseStats& stats = report.stats;
  json::array levels;
  for (const LevelStats& level : stats.live) {
    json::object one = {{"level", level.level}};
    for (auto& field : describe(level)) one.insert(std::move(field));
    levels.push_back(std::move(one));
  }
  json::array prefixes;
  for (const DatabaseReport::Prefix& one : report.largest) {
    json::object prefix = describe(one.sum);
    prefix["prefix"] = kv::key_form(one.part);
    prefixes.push_back(std::move(prefix));
  }
  json::object horizon = {{"versionstamp", report.horizon.hex()}};
  horizon["ageMs"] = stats.horizon_age_us ? json::value(*stats.horizon_age_us / 1000) : json::value(nullptr);
  json::object head = {{"versionstamp", report.head.hex()}};
  head["time"] = report.head_timestamp_ms == 0 ? json::value(nullptr)
                                               : json::value(format_time(report.head_timestamp_ms));
  return {{"head", std::move(head)},
          {"horizon", std::move(horizon)},
          {"diskBytes", report.disk_bytes()},
          {"liveBytes", report.live_bytes()},
          {"levels", std::move(levels)},
          {"history", describe(stats.history)},
          {"shared", describe(stats.shared)},
          {"changeFileBytes", stats.change_file_bytes},
          {"logBytes", stats.wal_bytes},
          {"memtableBytes", stats.memtable_bytes},
          {"entries", describe(report.user)},
          {"entriesExpired", report.user_expired},
          {"versionsPerKey", or_null(report.versions_per_key())},
          {"spaceAmplification", or_null(report.space_amplification())},
          {"writeAmplification", or_null(report.write_amplification())},
          {"prefixes", {{"count", report.prefixes}, {"largest", std::move(prefixes)}}},
          {"unreadableKeys", describe(report.unreadable)},
          {"expiry",
           {{"indexEntries", report.expiry_index.entries},
            {"bytes", report.expiry_index.bytes},
            {"due", report.expiry_due},
            {"lagMs", report.expiry_lag_ms}}},
          {"queue",
           {{"messages", report.queue.entries},
            {"bytes", report.queue.bytes},
            {"due", report.queue_due},
            {"lagMs", report.queue_lag_ms}}}};
}

Result<json::object> stats(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::DatabaseRef hosted, context.host.open_and_wait(name));
  const TransferProgress progress = [&](const std::string& text) { return context.lines.progress(text); };
  const int64_t now_ms = context.host.engine().clock().wall_us() / 1000;
  TM_ASSIGN(const DatabaseReport report, report_database(hosted->database(), now_ms, progress));
  json::object out = describe(report);
  out["database"] = name;
  out["views"] = hosted->store().past_views().count();
  TM_ASSIGN(const host::DatabaseRecord record, context.host.database(name));
  const std::optional<Retention> retention = context.retention_of(record);
  out["retention"] = retention ? json::value(retention_text(*retention)) : json::value(nullptr);
  return out;
}

constexpr std::array<AdminCommand, 1> kCommands = {{{"stats", stats}}};

}  // namespace

std::span<const AdminCommand> report_commands() {
  return kCommands;
}

}  // namespace tidemark::tools
