// As text, findings are printed as they are found; as JSON, one object at the end.
#include "tools/fsck_command.h"

#include <boost/json.hpp>
#include <cstdio>

#include "engine/io/posix_file_system.h"
#include "engine/verify/reporter.h"
#include "tools/settings.h"
#include "tools/store_access.h"
#include "tools/store_check.h"
#include "tools/store_repair.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

const char* severity_name(verify::Severity severity) {
  return severity == verify::Severity::kMajor ? "major" : "minor";
}

const char* result_name(const StoreCheckSummary& summary) {
  return summary.major > 0 ? "major" : summary.minor > 0 ? "minor" : "clean";
}

// Shows how far a check is.
verify::ProgressSink shown_by(ProgressLine& line) {
  return [&line](uint64_t done, uint64_t total) {
    if (total == 0) return;
    char text[64];
    std::snprintf(text, sizeof text, "%3d %% of %.1f MB",
                  static_cast<int>(static_cast<double>(done) * 100 / static_cast<double>(total)),
                  static_cast<double>(total) / 1e6);
    line.show(text);
  };
}

json::object describe(const verify::Finding& finding) {
  json::object out{{"severity", severity_name(finding.kind.severity)},
                   {"kind", finding.kind.code},
                   {"file", finding.file},
                   {"what", finding.what},
                   {"meaning", finding.kind.meaning}};
  if (finding.offset) out["offset"] = *finding.offset;
  return out;
}

json::object describe(const CheckedDatabase& database) {
  const verify::VerifySummary& summary = database.summary;
  return {{"name", database.name},
          {"folder", database.dir},
          {"head", summary.head.hex()},
          {"horizon", summary.horizon.hex()},
          {"segments", summary.segments},
          {"liveVersions", summary.live_versions},
          {"historyVersions", summary.history_versions},
          {"changeFiles", summary.change_files},
          {"commits", summary.commits},
          {"logCommits", summary.wal_commits},
          {"tornLogs", summary.torn_wal_files},
          {"bytes", summary.bytes},
          {"findings", summary.findings}};
}

void print(const verify::Finding& finding) {
  const std::string place =
      finding.file + (finding.offset ? " at offset " + std::to_string(*finding.offset) : "");
  std::printf("%s: %s: %s [%s]\n    %s\n", severity_name(finding.kind.severity), place.c_str(),
              finding.what.c_str(), finding.kind.code, finding.kind.meaning);
}

void print(const CheckedDatabase& database) {
  const verify::VerifySummary& summary = database.summary;
  std::printf("%s: %llu live versions, %llu in history, %llu commits listed and %llu in the log; %.1f MB\n",
              database.name.empty() ? database.dir.c_str() : database.name.c_str(),
              static_cast<unsigned long long>(summary.live_versions),
              static_cast<unsigned long long>(summary.history_versions),
              static_cast<unsigned long long>(summary.commits),
              static_cast<unsigned long long>(summary.wal_commits), static_cast<double>(summary.bytes) / 1e6);
  if (summary.torn_wal_files > 0)
    std::puts("    the log ends in a record that was not written whole, as after a crash: no damage");
}

int exit_code(const StoreCheckSummary& summary) {
  return summary.major > 0 ? kFsckMajor : summary.minor > 0 ? kFsckMinor : kFsckClean;
}

int not_checked(const Error& error) {
  std::fprintf(stderr, "tidemark: could not check: %s\n", error.message.c_str());
  return kFsckNotChecked;
}

int check(const std::string& dir, const FsckArguments& arguments) {
  ProgressLine progress;
  json::array findings;
  StoreCheckOptions options;
  options.deep = arguments.deep;
  options.database = arguments.database;
  options.progress = shown_by(progress);
  options.findings = [&](const verify::Finding& finding) {
    if (arguments.json) {
      findings.push_back(describe(finding));
      return;
    }
    progress.clear();
    print(finding);
  };
  const Result<StoreCheckSummary> summary = check_store(posix_file_system(), dir, options);
  progress.clear();
  if (!summary) return not_checked(summary.error());
  if (arguments.json) {
    json::array databases;
    for (const CheckedDatabase& database : summary->databases) databases.push_back(describe(database));
    const json::object out{{"result", result_name(*summary)},
                           {"minor", summary->minor},
                           {"major", summary->major},
                           {"databases", std::move(databases)},
                           {"findings", std::move(findings)}};
    std::puts(json::serialize(out).c_str());
  } else {
    for (const CheckedDatabase& database : summary->databases) print(database);
    if (summary->major + summary->minor == 0)
      std::puts("clean");
    else
      std::printf("%llu major and %llu minor findings\n", static_cast<unsigned long long>(summary->major),
                  static_cast<unsigned long long>(summary->minor));
  }
  return exit_code(*summary);
}

json::object describe(const RepairedDatabase& database) {
  const verify::SalvageSummary& summary = database.summary;
  json::array ranges, writes;
  for (const auto& range : summary.lost_ranges)
    ranges.push_back(json::object{{"file", range.file},
                                  {"offset", range.keys.offset},
                                  {"from", verify::shown(range.keys.from)},
                                  {"upTo", verify::shown(range.keys.up_to)}});
  for (const verify::LostWrite& write : summary.lost_listed)
    writes.push_back(json::object{{"key", verify::shown(write.key)}, {"versionstamp", write.stamp.hex()}});
  return {{"name", database.name},
          {"saved", !database.dir.empty()},
          {"folder", database.dir},
          {"problem", database.problem},
          {"lostSomething", database.lost_something()},
          {"head", summary.head.hex()},
          {"horizon", summary.horizon.hex()},
          {"horizonGuessed", summary.horizon_guessed},
          {"liveVersions", summary.live_versions},
          {"historyVersions", summary.history_versions},
          {"commits", summary.commits},
          {"logWhole", summary.log_whole},
          {"changesWhole", summary.changes_whole},
          {"lostWrites", summary.lost_writes},
          {"lostWritesListed", std::move(writes)},
          {"lostRanges", std::move(ranges)}};
}

void print(const RepairedDatabase& database) {
  const verify::SalvageSummary& summary = database.summary;
  const std::string name = database.name.empty() ? "the database" : database.name;
  if (database.dir.empty()) {
    std::printf("%s: nothing could be saved: %s\n", name.c_str(), database.problem.c_str());
    return;
  }
  std::printf("%s: saved %llu live versions, %llu in history, %llu commits\n", name.c_str(),
              static_cast<unsigned long long>(summary.live_versions),
              static_cast<unsigned long long>(summary.history_versions),
              static_cast<unsigned long long>(summary.commits));
  if (!database.problem.empty()) std::printf("    %s\n", database.problem.c_str());
  if (!summary.log_whole) std::puts("    commits at the end of the log, or within it, are lost");
  if (!summary.changes_whole) std::puts("    the list of commits has gaps");
  if (summary.horizon_guessed)
    std::puts("    the manifest was lost: how far back history is complete is not known");
  if (summary.lost_writes > 0)
    std::printf(
        "    %llu writes are lost: their keys are absent from then on, and what they had before is in "
        "the history\n",
        static_cast<unsigned long long>(summary.lost_writes));
  for (const auto& range : summary.lost_ranges)
    std::printf("    of %s, versions from %s up to %s are lost\n", range.file.c_str(),
                range.keys.from.empty() ? "the first key" : verify::shown(range.keys.from).c_str(),
                range.keys.up_to.empty() ? "the last" : verify::shown(range.keys.up_to).c_str());
}

int repair(const std::string& from, const FsckArguments& arguments) {
  std::string to = *arguments.repair_dir;
  while (to.size() > 1 && to.ends_with('/')) to.pop_back();
  ProgressLine progress;
  RepairOptions options;
  options.progress = shown_by(progress);
  json::array findings;
  options.findings = [&](const verify::Finding& finding) { findings.push_back(describe(finding)); };
  FileSystem& fs = posix_file_system();
  const Result<RepairSummary> summary = repair_store(fs, from, to, options);
  progress.clear();
  if (!summary) {
    std::fprintf(stderr, "tidemark: could not repair: %s\n", summary.error().message.c_str());
    return summary.error().code == ErrorCode::kInvalidArgument ? kFsckWrongArguments : kFsckNotChecked;
  }
  json::array databases;
  for (const RepairedDatabase& database : summary->databases) databases.push_back(describe(database));
  const json::object report{{"from", from},
                            {"to", to},
                            {"lostSomething", summary->lost_something()},
                            {"leftWrong", summary->left_wrong},
                            {"databases", std::move(databases)},
                            {"findings", std::move(findings)}};
  const std::string text = json::serialize(report) + "\n";
  const bool single = summary->databases.size() == 1 && summary->databases.front().name.empty();
  const std::string path = repair_report_path(to, single);
  if (const Status written = write_file_atomically(fs, path, text); !written)
    return not_checked(written.error());
  if (arguments.json) {
    std::fputs(text.c_str(), stdout);
  } else {
    for (const RepairedDatabase& database : summary->databases) print(database);
    if (summary->left_wrong > 0)
      std::printf(
          "%llu findings were brought along, as the report says: the store can be used, but for them\n",
          static_cast<unsigned long long>(summary->left_wrong));
    std::printf("%s\nthe new store in %s was opened and checked; what was found is in %s\n",
                summary->lost_something() ? "not all is as it should be" : "nothing was lost", to.c_str(),
                path.c_str());
  }
  return summary->lost_something() ? kFsckMajor : kFsckClean;
}

}  // namespace

void add_fsck_command(CLI::App& app, FsckArguments& arguments) {
  CLI::App* fsck =
      app.add_subcommand("fsck", "Check a stopped store, or a copy of one; writes nothing into it");
  fsck->add_option("--data-dir", arguments.data_dir,
                   "Folder of the store, or of one database. Also by " + environment_name("data-dir"))
      ->type_name("DIR");
  CLI::Option* const database =
      fsck->add_option("--database", arguments.database, "Only this one, by name or id; all if left out")
          ->type_name("NAME");
  CLI::Option* const deep = fsck->add_flag(
      "--deep", arguments.deep,
      "Also look up every key in the filters, and hold segments and change files against each other");
  fsck->add_option(
          "--repair", arguments.repair_dir,
          "Make a new store there of all that can be saved, with a report; the old one is left as it is")
      ->type_name("NEW_DIR")
      ->excludes(deep)
      ->excludes(database);
  fsck->add_flag("--json", arguments.json, "Print one JSON object");
  fsck->footer(
      "Exit codes: 0 clean; 1 could not check (the store is being served, or is none); 2 wrong arguments;\n"
      "3 minor findings only (nothing is lost); 4 major findings. With --repair: 0 nothing is lost; 1 could "
      "not\n"
      "repair; 2 wrong arguments; 4 something is lost or still wrong, as the report says.");
  fsck->callback([&arguments] { arguments.chosen = true; });
}

int run_fsck_command(const FsckArguments& arguments) {
  std::string dir = data_dir_of(arguments.data_dir);
  while (dir.size() > 1 && dir.ends_with('/')) dir.pop_back();
  return arguments.repair_dir ? repair(dir, arguments) : check(dir, arguments);
}

}  // namespace tidemark::tools
