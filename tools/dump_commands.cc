// Databases as lines of text, and lines of text into databases.
#include <array>
#include <boost/json.hpp>
#include <optional>

#include "engine/base/time_text.h"
#include "server/dump/dump.h"
#include "server/dump/load.h"
#include "server/kv/json_text.h"
#include "server/kv/moment.h"
#include "server/kv/tuple_key.h"
#include "tools/admin_commands.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

using Answer = Result<json::object>;

json::object describe(const dump::Counts& counts) {
  return {{"entries", counts.entries}, {"deletions", counts.deletions}};
}

Answer dump_database(const AdminContext& context, CommandArguments& arguments) {
  const std::optional<std::string> at = arguments.string("at");
  const std::optional<std::string> prefix = arguments.string("prefix");
  dump::Options options;
  options.history = arguments.flag("history");
  TM_ASSIGN(const host::DatabaseRef database, open_database(context, arguments));
  TM_TRY(arguments.finish());
  options.name = database->name();
  if (at) {
    TM_ASSIGN(options.moment, resolve_moment(context, database->database(), *at));
  }
  if (prefix) {
    TM_ASSIGN(options.prefix, parse_key_prefix(*prefix));
  }
  TM_ASSIGN(const dump::Summary summary,
            dump::dump(
                database->database(), context.host.engine().clock(), options,
                [&](std::string_view line) { return context.lines.line(line); },
                [&](uint64_t entries) {
                  return context.lines.progress("dumped " + std::to_string(entries) + " entries");
                }));
  json::object out = describe(summary.counts);
  out["database"] = options.name;
  out["versionstamp"] = summary.moment.stamp.hex();
  out["time"] = format_time(summary.moment.now_ms);
  return out;
}

Answer load_batch(const AdminContext& context, CommandArguments& arguments) {
  const std::vector<std::string> lines = arguments.strings("lines");
  const uint64_t first_line = arguments.number("firstLine").value_or(1);
  const bool begins = arguments.flag("begins");
  TM_ASSIGN(const host::DatabaseRef database, open_database(context, arguments));
  TM_TRY(arguments.finish());
  TM_TRY(check_own(database->database()));
  TM_TRY(check_room(context.host));
  TM_ASSIGN(const dump::LoadedBatch loaded, dump::load_batch(database->store(), lines, first_line, begins));
  json::object out = describe(loaded.counts);
  out["transactions"] = loaded.transactions;
  if (loaded.transactions != 0) out["versionstamp"] = loaded.versionstamp.hex();
  out["header"] = loaded.header;
  if (loaded.end) out["end"] = describe(*loaded.end);
  return out;
}

constexpr std::array<AdminCommand, 2> kCommands = {{{"dump", dump_database}, {"load.batch", load_batch}}};

}  // namespace

std::span<const AdminCommand> dump_commands() {
  return kCommands;
}

}  // namespace tidemark::tools
