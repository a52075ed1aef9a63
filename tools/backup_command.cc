#include "tools/backup_command.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>

#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/clock.h"
#include "engine/io/entropy.h"
#include "server/backup/prune.h"
#include "server/backup/source.h"
#include "server/backup/verify.h"
#include "tools/answer.h"
#include "tools/backup_restore.h"
#include "tools/command_options.h"
#include "tools/moment_text.h"
#include "tools/parse.h"
#include "tools/replica.h"
#include "tools/store_access.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr uint64_t kRestoreCacheBytes = uint64_t{64} << 20;

CLI::App& add_command(CLI::App& group, const char* command, const char* name, const char* about,
                      BackupArguments& arguments) {
  CLI::App* const added = group.add_subcommand(name, about);
  add_json(*added, arguments.json);
  added->callback([&arguments, command] { arguments.command = command; });
  return *added;
}

void add_store_options(CLI::App& command, BackupArguments& arguments, const char* which) {
  add_data_dir(command, arguments.data_dir);
  command.add_option("--database", arguments.database, which)->type_name("NAME");
}

void add_location(CLI::App& command, BackupArguments& arguments) {
  command
      .add_option("--from", arguments.location.url,
                  "Where the backup is: s3://BUCKET/PREFIX/[?endpoint=URL&region=REGION] or file:///PATH/")
      ->type_name("URL");
  add_s3_options(command, arguments.location);
}

// --- What is printed.

std::string rows_of(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out;
  for (const auto& [name, text] : rows) out += "  " + name + std::string(11 - name.size(), ' ') + text + "\n";
  return out;
}

std::string lag_text(const json::object& lag) {
  const uint64_t commits = number_in(lag, "commits");
  if (commits == 0) return "none";
  return std::string(flag_in(lag, "atLeast") ? "at least " : "") + count_of(commits, "commit", "commits") +
         ", " + human_bytes(number_in(lag, "bytes")) + ", " +
         std::to_string((number_in(lag, "ms") + 999) / 1000) + " s";
}

std::string show_status(const json::object& answer) {
  std::string out;
  for (const json::value& value : array_in(answer, "databases")) {
    if (!value.is_object()) continue;
    const json::object& one = value.get_object();
    out += text_in(one, "name") + ": ";
    if (!flag_in(one, "enabled")) {
      out += "not backed up\n";
      continue;
    }
    const std::string state = text_in(one, "state");
    out += (state.empty() ? (flag_in(answer, "served") ? "not opened yet" : "the store is not being served")
                          : state) +
           "\n";
    std::vector<std::pair<std::string, std::string>> rows = {{"to", text_in(one, "where")}};
    if (!text_in(one, "message").empty()) rows.emplace_back("message", text_in(one, "message"));
    if (!text_in(one, "prefix").empty()) rows.emplace_back("prefix", text_in(one, "prefix"));
    if (one.contains("lag")) {
      rows.emplace_back("lag", lag_text(object_in(one, "lag")));
      const json::object& shipped = object_in(one, "shipped");
      const std::string stamp = text_in(shipped, "versionstamp");
      rows.emplace_back("shipped", stamp == Versionstamp::min().hex()
                                       ? "nothing was written yet"
                                       : text_in(shipped, "time") + " (" + stamp + ")");
    }
    if (state == "pending" && number_in(one, "snapshotBytes") > 0) {
      rows.emplace_back("snapshot", count_of(number_in(one, "snapshotEntries"), "entry, ", "entries, ") +
                                        human_bytes(number_in(one, "snapshotBytes")) + " so far");
    }
    out += rows_of(rows);
  }
  if (answer.contains("replica")) {
    const json::object& replica = object_in(answer, "replica");
    std::vector<std::pair<std::string, std::string>> rows = {{"of", text_in(replica, "source")}};
    if (!text_in(replica, "message").empty()) rows.emplace_back("message", text_in(replica, "message"));
    rows.emplace_back("has", text_in(replica, "time") + " (" + text_in(replica, "versionstamp") + ")");
    if (replica.contains("staleMs"))
      rows.emplace_back("checked", std::to_string((number_in(replica, "staleMs") + 500) / 1000) +
                                       " s ago it had all that was in the backup");
    out += "this server is a replica\n" + rows_of(rows);
  }
  return out;
}

std::string show_enabled(const json::object& answer) {
  std::string out = "'" + text_in(answer, "database") + "' is backed up to " + text_in(answer, "where") +
                    (flag_in(answer, "served") ? "\n" : ", once the store is being served\n");
  if (!flag_in(answer, "conditionalWrites"))
    out +=
        "warning: the store knows no conditional writes: a second server that writes there is noticed only "
        "afterwards\n";
  return out;
}

std::string show_synced(const json::object& answer) {
  return "the newest state here is that of " + text_in(answer, "time") + " (" +
         text_in(answer, "versionstamp") + "), from " + text_in(answer, "source") + "\n";
}

// --- The commands.

Result<std::string> ask_store(const BackupArguments& arguments) {
  json::object request;
  if (!arguments.database.empty()) request["database"] = arguments.database;
  if (arguments.command == "backup.enable") {
    TM_ASSIGN(const auto target, parse_location(arguments.location, "--to"));
    if (target) request["target"] = backup::target_url(*target);
  }
  StoreAccess store(data_dir_of(arguments.data_dir), false);
  NoLines no_lines;
  TM_ASSIGN(const std::string text, store.run(arguments.command, json::serialize(request), no_lines));
  TM_TRY(store.close());
  if (arguments.json) return text + "\n";
  TM_ASSIGN(const json::object answer, parse_answer(text));
  if (arguments.command == "backup.status") return show_status(answer);
  if (arguments.command == "backup.enable") return show_enabled(answer);
  if (arguments.command == "promote") {
    return "this server is the primary now, from " + text_in(answer, "time") + " (" +
           text_in(answer, "versionstamp") + ") on, in epoch " + std::to_string(number_in(answer, "epoch")) +
           "\nit takes writes, and backs up into the new generation " + text_in(answer, "generation") +
           "\nnext: restart it without --sync-from-s3 when it suits you\n";
  }
  if (arguments.command == "pitr.sync") return show_synced(answer);
  return "'" + text_in(answer, "database") + "' is no longer backed up; what is in the backup stays there\n";
}

struct OpenBackup {
  std::unique_ptr<Engine> engine;
  backup::Target target;
  std::shared_ptr<backup::ObjectStore> store;
};

Result<OpenBackup> open_backup(const BackupArguments& arguments) {
  TM_ASSIGN(const auto target, parse_location(with_environment(arguments.location), "--from"));
  if (!target)
    return fail(ErrorCode::kInvalidArgument,
                "where is the backup? Give --from URL, or --s3-bucket and --s3-prefix");
  OpenBackup out;
  EngineOptions options;
  options.block_cache_bytes = kRestoreCacheBytes;
  out.engine = Engine::create(options);
  out.target = *target;
  TM_ASSIGN(out.store, open_object_store(*out.engine, *target, {}));
  return out;
}

json::object generation_json(const backup::Generation& one) {
  return {{"id", one.id},
          {"began", format_time(one.began_ms)},
          {"snapshot", one.snapshot.hex()},
          {"complete", one.complete},
          {"continues", one.continues},
          {"reason", one.reason}};
}

// The store is brought up to date here, made if there is none, unless it is being served: then there.
Result<std::string> sync(const BackupArguments& arguments) {
  TM_ASSIGN(const auto named, parse_location(with_environment(arguments.location), "--from"));
  if (!named) return ask_store(arguments);
  TM_ASSIGN(const OpenBackup opened, open_backup(arguments));
  host::HostOptions options;
  options.data_dir = data_dir_of(arguments.data_dir);
  options.read_only = true;
  options.database.max_transaction_bytes = backup::kMaxObjectBytes;
  Result<std::unique_ptr<host::Host>> host = host::Host::open(*opened.engine, options);
  if (!host && host.error().code == ErrorCode::kLocked) return ask_store(arguments);
  if (!host) return std::unexpected(host.error());
  ReplicaStatus status;
  {
    TM_ASSIGN(const auto replica,
              Replica::start(**host, opened.store, {opened.target, 0, {}}, [] { return false; }));
    replica->stop();
    status = replica->status();
  }
  TM_TRY((*host)->close());
  const json::object answer = {{"source", status.source},
                               {"versionstamp", status.head.stamp.hex()},
                               {"time", format_time(status.head.timestamp_ms)},
                               {"commits", status.commits}};
  return arguments.json ? json::serialize(answer) + "\n" : show_synced(answer);
}

Result<std::string> list(const BackupArguments& arguments) {
  TM_ASSIGN(const OpenBackup opened, open_backup(arguments));
  std::vector<backup::BackupListing> found;
  const auto object = opened.store->get(backup::kIndexName, backup::kMaxIndexBytes);
  if (!object && object.error().code != ErrorCode::kNotFound) return std::unexpected(object.error());
  if (object) {
    found.push_back({"", backup::decode_index(object->bytes)});
  } else {
    TM_ASSIGN(found, backup::list_backups(*opened.store, ""));
  }
  std::string text;
  json::array all;
  for (const backup::BackupListing& one : found) {
    const std::string where = backup::describe(opened.target) + one.prefix;
    if (!one.index) {
      text += where + ": " + one.index.error().message + "\n";
      all.push_back(json::object{{"where", where}, {"error", one.index.error().message}});
      continue;
    }
    text += where + "  '" + one.index->name + "'\n";
    json::array generations;
    for (const backup::Generation& generation : one.index->generations) {
      if (generation.pruned) continue;
      generations.push_back(generation_json(generation));
      text += "  " + generation.id + "  from " + format_time(generation.began_ms) + "  " +
              (generation.complete ? "complete" : "snapshot being written") + "  (" + generation.reason +
              ")\n";
    }
    all.push_back(json::object{{"where", where},
                               {"name", one.index->name},
                               {"database", one.index->database},
                               {"generations", std::move(generations)}});
  }
  if (arguments.json) return json::serialize(json::object{{"backups", std::move(all)}}) + "\n";
  return found.empty() ? "there are no backups in " + backup::describe(opened.target) + "\n" : text;
}

std::string progress_text(const backup::FollowProgress& progress) {
  if (!progress.in_snapshot)
    return "log: " + std::to_string(progress.commits) + " commits, " + human_bytes(progress.bytes) + " read";
  const uint64_t percent =
      progress.bytes_total == 0 ? 100 : std::min<uint64_t>(100, 100 * progress.bytes / progress.bytes_total);
  constexpr uint64_t kBarColumns = 30;
  const uint64_t full = kBarColumns * percent / 100;
  return "snapshot: [" + std::string(full, '#') + std::string(kBarColumns - full, '.') + "] " +
         std::to_string(percent) + " %, " + human_bytes(progress.bytes) + " of " +
         human_bytes(progress.bytes_total);
}

Result<std::string> restore(const BackupArguments& arguments) {
  RestoreRequest request;
  request.to = arguments.to;
  if (!arguments.database.empty()) request.database = arguments.database;
  if (!arguments.at.empty()) {
    TM_ASSIGN(const std::string moment, everywhere_moment(arguments.at, system_clock().wall_us() / 1000));
    request.at = kv::parse_moment(moment);
  }
  TM_ASSIGN(const OpenBackup opened, open_backup(arguments));
  request.source = backup::target_url(opened.target);
  ProgressLine line;
  const int64_t begun_us = opened.engine->clock().monotonic_us();
  TM_ASSIGN(const Restored restored,
            restore_backup(*opened.engine, *opened.store, request,
                           [&](const backup::FollowProgress& p) { line.show(progress_text(p)); }));
  line.clear();
  const int64_t ms = (opened.engine->clock().monotonic_us() - begun_us) / 1000;
  if (arguments.json) {
    return json::serialize(json::object{{"dataDir", request.to},
                                        {"database", request.database},
                                        {"versionstamp", restored.at.stamp.hex()},
                                        {"time", format_time(restored.at.timestamp_ms)},
                                        {"horizon", restored.horizon.stamp.hex()},
                                        {"commits", restored.commits},
                                        {"bytes", restored.bytes},
                                        {"resumed", restored.resumed},
                                        {"reached", restored.reached},
                                        {"tornEnd", restored.torn_end},
                                        {"ms", ms}}) +
           "\n";
  }
  std::string out = "restored to " + request.to + ", as of " + format_time(restored.at.timestamp_ms) + " (" +
                    restored.at.stamp.hex() + ")\n";
  if (!restored.reached)
    out += "the backup does not reach the moment asked for: this is the newest state in it\n";
  if (!restored.torn_end.empty()) out += "the log ends before its last object: " + restored.torn_end + "\n";
  out += "read " + human_bytes(restored.bytes) + " in " + std::to_string((ms + 999) / 1000) + " s; " +
         count_of(restored.commits, "commit", "commits") + " of the log; history from " +
         restored.horizon.stamp.hex() + " on\n";
  return out + "next: tidemark token create --all --data-dir " + request.to +
         ", then tidemark serve --data-dir " + request.to + "\n";
}

// --- verify and prune

std::string fresh_folder() {
  return (std::filesystem::temp_directory_path() / ("tidemark-verify-" + to_hex(random_bytes(6)))).string();
}

struct Comparison {
  std::string at;
  uint64_t ranges = 0;
  std::vector<std::string> differences;
};

std::string range_text(const backup::RangeHash& range) {
  return range.first_key.empty() ? "the first key on" : "key " + to_hex(range.first_key) + " on";
}

// Restores the backup into a folder of its own, and compares it with the database that is being served, or
// lies there.
Result<Comparison> restore_and_compare(const BackupArguments& arguments, const OpenBackup& opened,
                                       ProgressLine& line) {
  RestoreRequest request;
  request.to = fresh_folder();
  request.source = backup::target_url(opened.target);
  request.leave_following = true;
  const Result<Restored> restored = restore_backup(*opened.engine, *opened.store, request,
                                                   [&](const auto& p) { line.show(progress_text(p)); });
  std::vector<backup::RangeHash> ours;
  const Status hashed = [&]() -> Status {
    if (!restored) return std::unexpected(restored.error());
    host::HostOptions options;
    options.data_dir = request.to;
    options.database.retention = Retention::forever();
    TM_ASSIGN(const auto host, host::Host::open(*opened.engine, options));
    TM_ASSIGN(const auto hosted, host->open_and_wait(request.database));
    const auto pin = hosted->database().pin_head();
    TM_ASSIGN(ours, backup::hash_ranges(hosted->database(), *pin));
    return {};
  }();
  std::error_code ignored;
  std::filesystem::remove_all(request.to, ignored);
  std::filesystem::remove_all(request.to + ".partial", ignored);
  TM_TRY(hashed);
  Comparison out{restored->at.stamp.hex(), ours.size(), {}};
  json::object question{{"at", out.at}};
  if (!arguments.database.empty()) question["database"] = arguments.database;
  StoreAccess store(data_dir_of(arguments.data_dir), false);
  NoLines no_lines;
  TM_ASSIGN(const std::string text, store.run("backup.hash", json::serialize(question), no_lines));
  TM_TRY(store.close());
  TM_ASSIGN(const json::object answer, parse_answer(text));
  std::map<std::string, std::pair<uint64_t, std::string>> theirs;
  for (const json::value& value : array_in(answer, "ranges")) {
    const json::object* one = value.if_object();
    if (one != nullptr) theirs[text_in(*one, "key")] = {number_in(*one, "entries"), text_in(*one, "hash")};
  }
  for (const backup::RangeHash& range : ours) {
    const auto found = theirs.find(to_hex(range.first_key));
    const std::pair<uint64_t, std::string> mine{range.entries, std::to_string(range.hash)};
    if (found == theirs.end() || found->second != mine)
      out.differences.push_back("the backup and the database differ from " + range_text(range));
    if (found != theirs.end()) theirs.erase(found);
  }
  for (const auto& [key, rest] : theirs)
    out.differences.push_back("the backup lacks what the database has from key " + key + " on");
  return out;
}

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.push_back(json::string(text));
  return out;
}

Result<std::string> verify(const BackupArguments& arguments, bool& whole) {
  TM_ASSIGN(const OpenBackup opened, open_backup(arguments));
  TM_ASSIGN(const backup::Source source, backup::Source::open(*opened.store, ""));
  ProgressLine line;
  TM_ASSIGN(backup::Verification found,
            backup::verify_backup(*opened.engine, source, [&](const backup::Verification& so_far) -> Status {
              line.show(std::to_string(so_far.snapshot_objects + so_far.log_objects) + " objects, " +
                        human_bytes(so_far.bytes) + " read");
              return {};
            }));
  std::optional<Comparison> compared;
  if (arguments.with_restore && found.problems.empty()) {
    TM_ASSIGN(compared, restore_and_compare(arguments, opened, line));
    std::ranges::copy(compared->differences, std::back_inserter(found.problems));
  }
  line.clear();
  whole = found.problems.empty();
  const std::string where = backup::describe(opened.target) + source.prefix();
  if (arguments.json) {
    json::object out = {
        {"where", where},
        {"whole", whole},
        {"generations", found.generations},
        {"snapshotObjects", found.snapshot_objects},
        {"entries", found.entries},
        {"logObjects", found.log_objects},
        {"commits", found.commits},
        {"bytes", found.bytes},
        {"end", {{"versionstamp", found.end.stamp.hex()}, {"time", format_time(found.end.timestamp_ms)}}},
        {"problems", to_array(found.problems)},
        {"notes", to_array(found.notes)}};
    if (compared) out["compared"] = {{"versionstamp", compared->at}, {"ranges", compared->ranges}};
    return json::serialize(out) + "\n";
  }
  std::string out;
  for (const std::string& problem : found.problems) out += "problem: " + problem + "\n";
  for (const std::string& note : found.notes) out += "note: " + note + "\n";
  out += where + ": " + count_of(found.generations, "generation", "generations") + ", " +
         count_of(found.snapshot_objects, "object", "objects") + " of snapshots with " +
         count_of(found.entries, "entry", "entries") + ", " + std::to_string(found.log_objects) +
         " of the log with " + count_of(found.commits, "commit", "commits") + ", " +
         human_bytes(found.bytes) + ", up to " + format_time(found.end.timestamp_ms) + " (" +
         found.end.stamp.hex() + ")\n";
  if (compared)
    out += "restored, and compared with the database as of " + compared->at + ": " +
           (compared->differences.empty() ? "the same in all " : "different in some of ") +
           count_of(compared->ranges, "range", "ranges") + " of keys\n";
  return out + (whole ? "the backup is whole\n" : "the backup is NOT whole\n");
}

Result<std::string> prune(const BackupArguments& arguments) {
  const Result<int64_t> keep_ms = parse_duration_ms(arguments.keep);
  if (!keep_ms) return fail_within("--keep", keep_ms.error());
  TM_ASSIGN(const OpenBackup opened, open_backup(arguments));
  TM_ASSIGN(const backup::Source source, backup::Source::open(*opened.store, ""));
  if (!source.index())
    return fail(ErrorCode::kInvalidArgument,
                "this backup was not written by Tidemark, so nothing is removed from it");
  TM_ASSIGN(const backup::Pruned done,
            backup::prune(*opened.store, source.prefix(), system_clock().wall_us() / 1000 - *keep_ms));
  if (arguments.json)
    return json::serialize(json::object{{"generations", done.generations}, {"objects", done.objects}}) + "\n";
  return "removed " + count_of(done.generations, "generation", "generations") + ", " +
         count_of(done.objects, "object", "objects") + "\n";
}

}  // namespace

void add_backup_commands(CLI::App& app, BackupArguments& arguments) {
  CLI::App* const group =
      app.add_subcommand("backup", "Continuous backup to S3 or a folder, and restoring from it");
  group->require_subcommand(1);
  CLI::App& status = add_command(*group, "backup.status", "status",
                                 "How each database is backed up, and how far", arguments);
  add_store_options(status, arguments, "Only this one");
  CLI::App& enable =
      add_command(*group, "backup.enable", "enable",
                  "Back a database up from now on, once every right that it takes was tried", arguments);
  add_store_options(enable, arguments, "Which; default: default");
  enable
      .add_option("--to", arguments.location.url,
                  "s3://BUCKET/PREFIX/[?endpoint=URL&region=REGION] or file:///PATH/; default: where the "
                  "server backs up to")
      ->type_name("URL");
  add_s3_options(enable, arguments.location);
  CLI::App& disable = add_command(*group, "backup.disable", "disable",
                                  "Back a database up no longer; what is in the backup stays", arguments);
  add_store_options(disable, arguments, "Which; default: default");
  CLI::App& listing =
      add_command(*group, "backup.list", "list", "What backups there are, and their generations", arguments);
  add_location(listing, arguments);
  CLI::App& restoring =
      add_command(*group, "backup.restore", "restore",
                  "Make a new store out of a backup, also of one of Deno Deploy", arguments);
  restoring.add_option("--to", arguments.to, "Folder of the new store; missing or empty")
      ->type_name("NEW_DATA_DIR")
      ->required();
  restoring
      .add_option(
          "--at", arguments.at,
          "As of this moment: a versionstamp or a time (2026-11-21T14:31:00Z, '15m ago'). Default: the "
          "newest state")
      ->type_name("MOMENT");
  restoring.add_option("--database", arguments.database, "What it is called there; default: default")
      ->type_name("NAME");
  add_location(restoring, arguments);
  CLI::App& verifying =
      add_command(*group, "backup.verify", "verify",
                  "Read a whole backup, and say whether anything is missing or damaged", arguments);
  add_location(verifying, arguments);
  verifying.add_flag("--restore", arguments.with_restore,
                     "Restore it as well, and compare that with the database that it is of");
  add_store_options(verifying, arguments, "To compare with; default: default");
  CLI::App& pruning = add_command(*group, "backup.prune", "prune",
                                  "Remove what is too old, without leaving a gap in what is kept", arguments);
  add_location(pruning, arguments);
  pruning.add_option("--keep", arguments.keep, "How far back it is to be restored, at least: 30d")
      ->type_name("DURATION")
      ->required();
  CLI::App& syncing =
      add_command(*app.get_subcommand("pitr"), "pitr.sync", "sync",
                  "Bring a replica's store up to date with the backup that it follows; what is "
                  "checked out stays so",
                  arguments);
  add_data_dir(syncing, arguments.data_dir);
  add_location(syncing, arguments);
  CLI::App& promoting =
      add_command(app, "promote", "promote",
                  "Make a replica that is being served the primary: it takes over the backup", arguments);
  add_data_dir(promoting, arguments.data_dir);
}

int run_backup_command(const BackupArguments& arguments) {
  bool whole = true;
  const Result<std::string> answer = [&] {
    if (arguments.command == "backup.list") return list(arguments);
    if (arguments.command == "backup.restore") return restore(arguments);
    if (arguments.command == "backup.verify") return verify(arguments, whole);
    if (arguments.command == "backup.prune") return prune(arguments);
    if (arguments.command == "pitr.sync") return sync(arguments);
    return ask_store(arguments);
  }();
  if (!answer) {
    std::fprintf(stderr, "tidemark: %s\n", answer.error().message.c_str());
    return answer.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  std::fputs(answer->c_str(), stdout);
  return whole ? 0 : 1;
}

}  // namespace tidemark::tools
