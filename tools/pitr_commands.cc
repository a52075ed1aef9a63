// Looking at the past and going back to it.
#include <array>
#include <boost/json.hpp>
#include <functional>
#include <optional>

#include "engine/base/time_text.h"
#include "server/kv/difference.h"
#include "server/kv/json_text.h"
#include "server/kv/moment.h"
#include "server/kv/rewind.h"
#include "server/kv/tuple_key.h"
#include "server/kv/value_form.h"
#include "tools/admin_commands.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

using Answer = Result<json::object>;

constexpr char kLatest[] = "latest";

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

json::object moment_json(const kv::Moment& moment) {
  return {{"versionstamp", moment.stamp.hex()}, {"time", format_time(moment.now_ms)}};
}

Result<kv::MomentName> parse(const std::string& text) {
  const std::optional<kv::MomentName> name = kv::parse_moment(text);
  if (!name)
    return refuse("'" + text +
                  "' is no moment: it must be a versionstamp of 20 hex digits or a time with a zone");
  return *name;
}

// The bytes that keys begin with, of a key's JSON; everything if there is none.
Result<std::string> parse_prefix(const std::optional<std::string>& text) {
  return text ? parse_key_prefix(*text) : Result<std::string>(std::string());
}

// --- list and info

// Where a list begins or ends.
struct Bound {
  std::optional<kv::MomentName> name;
  bool above(const CommitPoint& commit) const { return compare(commit) > 0; }
  bool below(const CommitPoint& commit) const { return compare(commit) < 0; }

 private:
  int compare(const CommitPoint& commit) const {
    if (!name) return 0;
    if (const auto* time = std::get_if<kv::TimeMs>(&*name))
      return commit.timestamp_ms < time->ms ? -1 : commit.timestamp_ms > time->ms ? 1 : 0;
    const Versionstamp stamp = std::get<Versionstamp>(*name);
    return commit.stamp < stamp ? -1 : commit.stamp > stamp ? 1 : 0;
  }
};

Answer list_points(const AdminContext& context, CommandArguments& arguments) {
  const auto start_text = arguments.string("start"), end_text = arguments.string("end");
  const uint64_t limit = arguments.number("limit").value_or(UINT64_MAX);
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  Bound start, end;
  if (start_text) {
    TM_ASSIGN(start.name, parse(*start_text));
  }
  if (end_text) {
    TM_ASSIGN(end.name, parse(*end_text));
  }
  Database& database = hosted->database();
  const Versionstamp horizon = database.horizon();
  uint64_t given = 0;
  Status stopped;
  const auto give = [&](const CommitPoint& commit) {
    if (end.above(commit)) return true;
    if (given >= limit || start.below(commit)) return false;
    stopped = context.lines.line(commit.stamp.hex() + "\t" + format_time(commit.timestamp_ms));
    ++given;
    return stopped.has_value();
  };
  bool to_the_end = true;
  TM_TRY(database.visit_commits(horizon, database.head(), [&](const CommitPoint& commit, uint32_t) {
    return to_the_end = give(commit);
  }));
  TM_TRY(stopped);
  // The horizon itself can be gone back to.
  if (to_the_end && horizon > Versionstamp::min()) {
    TM_ASSIGN(const CommitPoint at, database.last_commit(horizon, INT64_MAX));
    (void)give({horizon, at.timestamp_ms});
    TM_TRY(stopped);
  }
  return json::object{{"points", given}};
}

Answer show_info(const AdminContext& context, CommandArguments& arguments) {
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  Database& database = hosted->database();
  TM_ASSIGN(const host::DatabaseRecord record, context.host.database(hosted->name()));
  TM_ASSIGN(const CommitPoint oldest, database.last_commit(database.horizon(), INT64_MAX));
  const DatabaseStats stats = database.stats();
  json::object out = {{"database", record.name}, {"head", moment_json(kv::head_moment(database))}};
  out["current"] = record.settings.checkout ? moment_json(*record.settings.checkout) : out["head"];
  out["horizon"] = moment_json({database.horizon(), oldest.timestamp_ms});
  out["beginning"] = database.horizon() == Versionstamp::min();
  if (const std::optional<Retention> retention = context.retention_of(record)) {
    const bool duration = retention->kind == Retention::Kind::kDuration;
    out["retention"] = duration ? "duration" : retention_text(*retention);
    if (duration) out["retentionMs"] = retention->duration_ms;
  }
  if (record.settings.history_max_bytes) out["historyMaxBytes"] = *record.settings.history_max_bytes;
  out["historyBytes"] = stats.history.bytes;
  out["historyVersions"] = stats.history.entries;
  out["changeFileBytes"] = stats.change_file_bytes;
  out["views"] = hosted->store().past_views().count();
  out["epoch"] = database.epoch();
  return out;
}

// --- diff

json::object value_json(const kv::VersionedValue& value) {
  const kv::ValueForm form = kv::value_form(value.value.encoding, value.value.data);
  json::object out = {{"value", form.form}, {"versionstamp", value.versionstamp.hex()}};
  if (value.value.expire_at_ms != 0) out["expireAt"] = format_time(value.value.expire_at_ms);
  return out;
}

Answer show_differences(const AdminContext& context, CommandArguments& arguments) {
  const std::string from_text = arguments.required_string("from");
  const std::string to_text = arguments.required_string("to");
  const auto prefix_text = arguments.string("prefix");
  TM_ASSIGN(const std::string prefix, parse_prefix(prefix_text));
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  Database& database = hosted->database();
  TM_ASSIGN(const kv::Moment from, resolve_moment(context, database, from_text));
  TM_ASSIGN(const kv::Moment to, resolve_moment(context, database, to_text));
  TM_TRY(context.lines.line(
      json::serialize(json::object{{"from", moment_json(from)}, {"to", moment_json(to)}})));
  uint64_t added = 0, changed = 0, removed = 0;
  TM_TRY(kv::for_each_difference(database, from, to, prefix, [&](const kv::Difference& difference) -> Status {
    json::object line;
    line["change"] = !difference.before ? "added" : !difference.after ? "removed" : "changed";
    ++(!difference.before ? added : !difference.after ? removed : changed);
    line["key"] = kv::key_form(difference.key);
    if (difference.before) line["before"] = value_json(*difference.before);
    if (difference.after) line["after"] = value_json(*difference.after);
    return context.lines.line(kv::to_json(line));
  }));
  return json::object{{"added", added}, {"changed", changed}, {"removed", removed}};
}

// --- rewind, checkout, fork

Answer rewind_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string moment_text = arguments.required_string("moment");
  const auto prefix_text = arguments.string("prefix");
  kv::RewindOptions options;
  options.queues = arguments.flag("queues");
  options.dry_run = arguments.flag("dryRun");
  TM_ASSIGN(options.prefix, parse_prefix(prefix_text));
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  if (context.host.read_only() && !options.dry_run)
    return fail(ErrorCode::kReadOnly, "the store is served read-only, so it cannot be rewound");
  if (!options.dry_run) TM_TRY(check_own(hosted->database()));
  TM_ASSIGN(const kv::Moment target, resolve_moment(context, hosted->database(), moment_text));
  options.progress = [&](uint64_t keys) {
    return context.lines.progress(std::to_string(keys) + " keys looked at");
  };
  TM_ASSIGN(const kv::RewindResult done, kv::rewind(hosted->store(), target, options));
  return json::object{{"database", hosted->name()},         {"moment", moment_json(target)},
                      {"before", moment_json(done.before)}, {"after", moment_json(done.after)},
                      {"restored", done.restored},          {"removed", done.removed},
                      {"messages", done.messages},          {"commitsMeanwhile", done.commits_meanwhile},
                      {"dryRun", options.dry_run}};
}

Answer check_out_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string moment_text = arguments.required_string("moment");
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  if (context.host.serves() && !context.host.read_only())
    return refuse(
        "the store is being served, and takes writes; stop it and serve it with --read-only, or open '" +
        hosted->name() + "@" + moment_text + "' beside it");
  std::optional<kv::Moment> moment;
  if (moment_text != kLatest) {
    TM_ASSIGN(moment, resolve_moment(context, hosted->database(), moment_text));
  }
  TM_ASSIGN(const host::DatabaseRecord record, context.host.check_out(hosted->name(), moment));
  return json::object{{"database", record.name},
                      {"moment", moment_json(moment.value_or(kv::head_moment(hosted->database())))},
                      {"latest", !moment}};
}

Answer fork_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string moment_text = arguments.required_string("moment");
  const std::string new_name = arguments.required_string("newName");
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  TM_ASSIGN(const kv::Moment moment, resolve_moment(context, hosted->database(), moment_text));
  TM_ASSIGN(const host::DatabaseRecord record, context.host.fork_database(hosted->name(), moment, new_name));
  return json::object{{"database", hosted->name()},
                      {"moment", moment_json(moment)},
                      {"name", record.name},
                      {"id", record.id.text()},
                      {"url", context.base_url + "/db/" + record.name}};
}

// --- what history costs

Answer set_retention(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.string("database").value_or(host::kDefaultDatabaseName);
  const auto retention_text = arguments.string("retention");
  const auto history_max = arguments.number("historyMaxBytes");
  TM_TRY(arguments.finish());
  std::optional<Retention> retention;
  if (retention_text) {
    Result<Retention> parsed = parse_retention(*retention_text);
    if (!parsed) return fail_within("the retention", parsed.error());
    retention = *parsed;
  }
  TM_ASSIGN(const host::DatabaseRecord record, context.host.set_retention(name, retention, history_max));
  json::object out = {{"database", record.name}};
  out["retention"] = retention_text ? json::value(*retention_text) : json::value(nullptr);
  if (history_max) out["historyMaxBytes"] = *history_max;
  return out;
}

Answer compact_database(const AdminContext& context, CommandArguments& arguments) {
  TM_ASSIGN(const host::DatabaseRef hosted, open_database(context, arguments));
  TM_TRY(arguments.finish());
  const auto sizes = [&] {
    const DatabaseStats stats = hosted->database().stats();
    uint64_t live_bytes = 0, live_entries = 0;
    for (const LevelStats& level : stats.live) {
      live_bytes += level.bytes;
      live_entries += level.entries;
    }
    return json::object{{"liveBytes", live_bytes},
                        {"liveEntries", live_entries},
                        {"historyBytes", stats.history.bytes},
                        {"historyEntries", stats.history.entries}};
  };
  const json::object before = sizes();
  TM_TRY(hosted->database().compact());
  return json::object{{"database", hosted->name()}, {"before", before}, {"after", sizes()}};
}

constexpr std::array<AdminCommand, 8> kCommands = {{{"pitr.list", list_points},
                                                    {"pitr.info", show_info},
                                                    {"pitr.diff", show_differences},
                                                    {"pitr.rewind", rewind_database},
                                                    {"pitr.checkout", check_out_database},
                                                    {"pitr.fork", fork_database},
                                                    {"db.retention", set_retention},
                                                    {"compact", compact_database}}};

}  // namespace

std::span<const AdminCommand> pitr_commands() {
  return kCommands;
}

}  // namespace tidemark::tools
