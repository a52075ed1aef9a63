// What history and deletions cost readers of head: many versions per key, a queue that moves on, lists after
// most keys were deleted. Tidemark's engine alone. See README.md in this folder.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "bench/history_rows.h"
#include "bench/machine.h"

int main(int argc, char** argv) {
  using namespace tidemark::bench;
  VersionsSettings versions;
  QueueSettings queue;
  DeletedSettings deleted;
  std::vector<std::string> parts;
  std::string parent = "build/bench-data";
  std::string json;

  CLI::App app{"Benchmark of head reads beside history and deletions.", "bench_history"};
  app.add_option("--entries", versions.entries, "keys of the stores with 1 and with many versions")
      ->check(CLI::Range(1000, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--versions", versions.versions, "versions per key of the second store")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  app.add_option("--turns", versions.turns, "turns of each store in the rows of versions")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--turn-ms", versions.turn_ms, "length of such a turn, in milliseconds")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_option("--messages", queue.messages, "messages that go through the queue")
      ->check(CLI::Range(1000, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--delete-entries", deleted.entries, "entries of which 99 % are deleted")
      ->check(CLI::Range(30'000, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--parts", parts, "only these, separated by commas: versions, queue, deleted")
      ->delimiter(',')
      ->check(CLI::IsMember({"versions", "queue", "deleted"}));
  app.add_option("--dir", parent,
                 "folder for the stores; a fresh folder in it is used and deleted afterwards")
      ->capture_default_str();
  app.add_option("--json", json, "write all samples to this file");
  CLI11_PARSE(app, argc, argv);

  const auto selected = [&](const char* part) {
    return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  const std::string dir = make_fresh_folder(parent);
  versions.dir = queue.dir = deleted.dir = dir;
  Report report;
  declare_history_rows(report);
  if (selected("versions")) {
    run_versions(versions, report);
  }
  if (selected("queue")) {
    run_queue(queue, report);
  }
  if (selected("deleted")) {
    run_deleted(deleted, report);
  }
  remove_folder(dir);
  report.print(stdout);
  if (!json.empty()) {
    report.write_json(json);
  }
  return 0;
}
