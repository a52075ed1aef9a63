#include "tools/pitr_command.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <string_view>

#include "engine/io/clock.h"
#include "server/kv/json_text.h"
#include "server/kv/v8_format.h"
#include "tools/answer.h"
#include "tools/command_options.h"
#include "tools/moment_text.h"
#include "tools/parse.h"
#include "tools/store_access.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr char kMomentHelp[] =
    "A versionstamp, a time (2026-11-21T14:31:00Z; without a zone, the one of this machine: '2026-11-21 "
    "14:31', "
    "'yesterday 14:31'), '15m ago', or 'now'";
constexpr char kLatest[] = "latest";
// Of a line of pitr.diff: the object, a side, and a value's form.
constexpr size_t kMaxLineDepth = kv::v8::kMaxFormDepth + 2;

CLI::App* add_command(CLI::App& group, const char* command, const char* name, const char* about,
                      PitrArguments& arguments) {
  CLI::App* const added = group.add_subcommand(name, about);
  add_data_dir(*added, arguments.data_dir);
  added->add_option("--database", arguments.database, "Which; default: default")->type_name("NAME");
  add_json(*added, arguments.json);
  added->callback([&arguments, command] { arguments.command = command; });
  return added;
}

void add_prefix(CLI::App& command, PitrArguments& arguments) {
  command
      .add_option("--prefix", arguments.prefix,
                  "Only keys that begin with these parts, as JSON, e.g. '[\"users\"]'")
      ->type_name("KEY");
}

// --- What is printed.

std::string count_in(const json::object& object, const char* name) {
  return std::to_string(number_in(object, name));
}

std::string moment_in(const json::object& object, const char* name) {
  const json::object& moment = object_in(object, name);
  return text_in(moment, "time") + " (" + text_in(moment, "versionstamp") + ")";
}

std::string show_info(const json::object& answer) {
  const bool beginning = flag_in(answer, "beginning");
  std::string retention = text_in(answer, "retention");
  if (retention == "duration") retention = count_in(answer, "retentionMs") + " ms";
  if (retention.empty()) retention = "as the server is told (--retention)";
  return "database   " + text_in(answer, "database") + "\nhead       " + moment_in(answer, "head") +
         "\nshown      " + moment_in(answer, "current") + "\nhorizon    " +
         (beginning ? "the beginning: nothing was dropped yet" : moment_in(answer, "horizon")) +
         "\nretention  " + retention + "\nhistory    " + human_bytes(number_in(answer, "historyBytes")) +
         " in " + count_in(answer, "historyVersions") + " old versions, and " +
         human_bytes(number_in(answer, "changeFileBytes")) + " of change files\nviews      " +
         count_in(answer, "views") + " moments being looked at\n";
}

std::string show_rewind(const json::object& answer) {
  const std::string counts =
      count_in(answer, "restored") + " keys restored, " + count_in(answer, "removed") + " removed" +
      (number_in(answer, "messages") == 0 ? std::string()
                                          : ", " + count_in(answer, "messages") + " messages");
  const json::object& before = object_in(answer, "before");
  const json::object& after = object_in(answer, "after");
  if (text_in(before, "versionstamp") == text_in(after, "versionstamp"))
    return "nothing to change: '" + text_in(answer, "database") + "' holds what it held then\n";
  std::string out = counts + ", in one change at " + moment_in(answer, "after") + "\n";
  if (number_in(answer, "commitsMeanwhile") != 0)
    out += count_in(answer, "commitsMeanwhile") + " commits that came meanwhile were rewound with the rest\n";
  const std::string database = text_in(answer, "database");
  return out + "to undo: tidemark pitr rewind " + text_in(before, "versionstamp") +
         (database == "default" ? "" : " --database " + database) + "\n";
}

std::string show_sizes(const json::object& answer, const char* name) {
  const json::object& sizes = object_in(answer, name);
  return human_bytes(number_in(sizes, "liveBytes")) + " live in " + count_in(sizes, "liveEntries") +
         " entries, " + human_bytes(number_in(sizes, "historyBytes")) + " history in " +
         count_in(sizes, "historyEntries") + " versions";
}

std::string show(const PitrArguments& arguments, const json::object& answer) {
  const std::string& command = arguments.command;
  if (command == "pitr.info") return show_info(answer);
  if (command == "pitr.diff")
    return count_in(answer, "added") + " added, " + count_in(answer, "changed") + " changed, " +
           count_in(answer, "removed") + " removed\n";
  if (command == "pitr.rewind") return show_rewind(answer);
  if (command == "pitr.checkout")
    return moment_in(answer, "moment") + "\n" +
           (flag_in(answer, "latest")
                ? "'" + text_in(answer, "database") + "' shows its newest state again\n"
                : "'" + text_in(answer, "database") + "' shows this moment when served with --read-only\n");
  if (command == "pitr.fork")
    return moment_in(answer, "moment") + "\nmade the database '" + text_in(answer, "name") +
           "' from it\nid    " + text_in(answer, "id") + "\nurl   " + text_in(answer, "url") + "\n";
  if (command == "compact")
    return "before: " + show_sizes(answer, "before") + "\nafter:  " + show_sizes(answer, "after") + "\n";
  return "the retention of '" + text_in(answer, "database") + "' is " +
         (field(answer, "retention").is_null() ? "the server's" : text_in(answer, "retention")) + " now\n";
}

// A line of pitr.diff, for people. Keys and values as in a dump.
std::string difference_text(std::string_view line) {
  const Result<json::value> value = kv::parse_json(line, kMaxLineDepth);
  if (!value || !value->is_object()) return std::string(line);
  const json::object& object = value->get_object();
  if (object.contains("from"))
    return "from " + moment_in(object, "from") + "\nto   " + moment_in(object, "to");
  const auto side = [&](const char* name) { return kv::to_json(field(object_in(object, name), "value")); };
  const std::string change = text_in(object, "change");
  const std::string key = kv::to_json(field(object, "key"));
  if (change == "added") return "+ " + key + "  " + side("after");
  if (change == "removed") return "- " + key + "  " + side("before");
  return "~ " + key + "  " + side("before") + "  ->  " + side("after");
}

// Lines as the command is to show them.
class ShownLines final : public LineSink {
 public:
  explicit ShownLines(const PitrArguments& arguments) : arguments_(arguments), out_(stdout) {}

  Status line(std::string_view text) override {
    if (arguments_.command == "pitr.diff" && !arguments_.json)
      return written(out_.line(difference_text(text)));
    const size_t tab = text.find('\t');
    if (arguments_.command == "pitr.list" && arguments_.json && tab != text.npos)
      return written(out_.line(R"({"versionstamp":")" + std::string(text.substr(0, tab)) + R"(","time":")" +
                               std::string(text.substr(tab + 1)) + "\"}"));
    return written(out_.line(text));
  }
  Status progress(std::string_view text) override { return out_.progress(text); }
  Status flush() { return written(out_.flush()); }

 private:
  // That nobody reads any more is no failure.
  static Status written(Status status) {
    if (!status && errno == EPIPE) return fail(ErrorCode::kShutdown, "");
    return status;
  }

  const PitrArguments& arguments_;
  FileLines out_;
};

// --- What is asked of the store.

Result<std::string> request_of(const PitrArguments& arguments, bool dry_run) {
  const int64_t now_ms = system_clock().wall_us() / 1000;
  json::object out;
  const auto put_moment = [&](const char* name, const std::string& text) -> Status {
    if (text.empty()) return {};
    if (arguments.command == "pitr.checkout" && text == kLatest) {
      out[name] = text;
      return {};
    }
    TM_ASSIGN(out[name], everywhere_moment(text, now_ms));
    return {};
  };
  if (!arguments.database.empty()) out["database"] = arguments.database;
  const bool two = arguments.command == "pitr.diff";
  TM_TRY(put_moment(two ? "from" : "moment", arguments.moment));
  TM_TRY(put_moment("to", arguments.other_moment));
  TM_TRY(put_moment("start", arguments.start));
  TM_TRY(put_moment("end", arguments.end));
  if (arguments.limit) out["limit"] = *arguments.limit;
  if (!arguments.prefix.empty()) out["prefix"] = arguments.prefix;
  if (!arguments.new_name.empty()) out["newName"] = arguments.new_name;
  if (arguments.queues) out["queues"] = true;
  if (dry_run) out["dryRun"] = true;
  if (arguments.command == "db.retention") {
    if (arguments.retention != "default") out["retention"] = arguments.retention;
    if (!arguments.history_max.empty()) {
      const Result<uint64_t> bytes = parse_bytes(arguments.history_max);
      if (!bytes) return fail_within("--history-max", bytes.error());
      out["historyMaxBytes"] = *bytes;
    }
  }
  return json::serialize(out);
}

Status ask(const PitrArguments& arguments, StoreAccess& store, ShownLines& lines) {
  if (arguments.yes || arguments.dry_run) return {};
  if (::isatty(STDIN_FILENO) == 0)
    return fail(
        ErrorCode::kInvalidArgument,
        "a rewind changes the database: say --yes if it is to be done, or --dry-run to see what it would do");
  TM_ASSIGN(const std::string request, request_of(arguments, true));
  TM_ASSIGN(const std::string text, store.run(arguments.command, request, lines));
  TM_ASSIGN(const json::object answer, parse_answer(text));
  std::fprintf(stderr, "to %s: %s keys would be restored, %s removed. Go on? [y/N] ",
               moment_in(answer, "moment").c_str(), count_in(answer, "restored").c_str(),
               count_in(answer, "removed").c_str());
  std::string reply;
  std::getline(std::cin, reply);
  if (reply == "y" || reply == "Y" || reply == "yes") return {};
  return fail(ErrorCode::kInvalidArgument, "nothing was changed");
}

Status print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return {};
  if (errno == EPIPE) return fail(ErrorCode::kShutdown, "");
  return fail(ErrorCode::kIo, "the answer cannot be written");
}

}  // namespace

void add_pitr_commands(CLI::App& app, PitrArguments& arguments) {
  CLI::App& pitr = *app.add_subcommand(
      "pitr", "The past: list, info, diff, rewind, checkout, fork; also while the store is served");
  pitr.require_subcommand(1);
  const auto add = [&](const char* command, const char* name, const char* about) {
    return add_command(pitr, command, name, about, arguments);
  };
  CLI::App* const list = add("pitr.list", "list", "Moments that can be gone back to, the newest first");
  list->add_option("--start", arguments.start, std::string("None before. ") + kMomentHelp)
      ->type_name("MOMENT");
  list->add_option("--end", arguments.end, "None after")->type_name("MOMENT");
  list->add_option("--limit", arguments.limit, "At most so many")->type_name("N");
  add("pitr.info", "info", "Head, horizon, retention, and what history takes");
  CLI::App* const diff = add("pitr.diff", "diff", "What differs between two moments");
  diff->add_option("FROM", arguments.moment, kMomentHelp)->required();
  diff->add_option("TO", arguments.other_moment)->required();
  add_prefix(*diff, arguments);
  CLI::App* const rewind =
      add("pitr.rewind", "rewind", "Make the past the present, as one change that can be undone");
  rewind->add_option("MOMENT", arguments.moment, kMomentHelp)->required();
  add_prefix(*rewind, arguments);
  rewind->add_flag("--queues", arguments.queues, "Messages of the queue as well");
  rewind->add_flag("--dry-run", arguments.dry_run, "Change nothing, say what would be changed");
  rewind->add_flag("--yes", arguments.yes, "Do not ask");
  CLI::App* const checkout =
      add("pitr.checkout", "checkout", "Choose the moment that a store shows when served with --read-only");
  checkout->add_option("MOMENT", arguments.moment, std::string(kMomentHelp) + "; or 'latest'")->required();
  CLI::App* const fork =
      add("pitr.fork", "fork", "Make a new database from a moment, at once and without copying");
  fork->add_option("MOMENT", arguments.moment, kMomentHelp)->required();
  fork->add_option("NEW_NAME", arguments.new_name)->required();

  add_command(app, "compact", "compact", "Merge a database down, and drop history that is no longer kept",
              arguments);
  CLI::App* const retention = add_command(*app.get_subcommand("db"), "db.retention", "retention",
                                          "How long history of a database is kept from now on", arguments);
  retention
      ->add_option("RETENTION", arguments.retention,
                   "A duration (7d), 'forever', 'none', or 'default' for the server's own")
      ->required();
  retention->add_option("--history-max", arguments.history_max, "At most so many bytes of history")
      ->type_name("SIZE");
}

Status run_pitr_command(const PitrArguments& arguments) {
  StoreAccess store(data_dir_of(arguments.data_dir), false);
  ShownLines lines(arguments);
  if (arguments.command == "pitr.rewind") TM_TRY(ask(arguments, store, lines));
  TM_ASSIGN(const std::string request, request_of(arguments, arguments.dry_run));
  const Result<std::string> text = store.run(arguments.command, request, lines);
  if (!text) return std::unexpected(text.error());
  TM_TRY(lines.flush());
  if (const Status closed = store.close(); !closed) return fail_within("it is done, but", closed.error());
  if (arguments.command == "pitr.list") return {};
  if (arguments.json) return print(*text + "\n");
  TM_ASSIGN(const json::object answer, parse_answer(*text));
  if (arguments.command == "pitr.rewind") {
    TM_TRY(print("to " + moment_in(answer, "moment") + "\n"));
    if (arguments.dry_run)
      return print(count_in(answer, "restored") + " keys would be restored, " + count_in(answer, "removed") +
                   " removed; nothing was changed\n");
  }
  return print(show(arguments, answer));
}

}  // namespace tidemark::tools
