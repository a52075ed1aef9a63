// Drives Tidemark's engine, RocksDB, LevelDB, LMDB and SQLite through one interface in one process and prints
// a table. See README.md in this folder for the rows.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "bench/engine_rows.h"

namespace tidemark::bench {

namespace {

// Turns finished benchmarks into samples, with a line of progress each.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(Report& report) : report_(report) {}
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const std::string& name = run.run_name.function_name;  // row/store/turn:n
      const size_t first = name.find('/');
      const size_t second = name.find('/', first + 1);
      const size_t colon = name.find(':', second);
      require(first != std::string::npos && second != std::string::npos && colon != std::string::npos,
              "a benchmark has an unexpected name");
      const std::string row = name.substr(0, first);
      const std::string store = name.substr(first + 1, second - first - 1);
      const int turn = std::stoi(name.substr(colon + 1));
      const auto rate = run.counters.find("items_per_second");
      const double value = rate != run.counters.end() ? rate->second.value : run.real_accumulated_time * 1e3;
      report_.add(row, store, turn, value);
      std::fprintf(stderr, "%-48s %14.6g\n", name.c_str(), value);
      for (const auto& extra : EngineRows::extra_rows()) {
        if (const auto found = run.counters.find(extra.counter); found != run.counters.end()) {
          report_.add(extra.row, store, turn, found->second.value);
        }
      }
    }
  }

 private:
  Report& report_;
};

int run(int argc, char** argv) {
  EngineSettings settings;
  std::vector<std::string> stores;
  std::vector<std::string> rows;
  std::string parent = "build/bench-data";
  std::string json;
  uint64_t cache_mb = settings.cache_bytes >> 20;
  uint64_t log_mb = settings.log_bytes >> 20;
  std::vector<std::string> store_names;
  for (const StoreKind& kind : store_kinds()) {
    store_names.emplace_back(kind.name);
  }

  CLI::App app{"Benchmark of storage engines: one interface, one process, stores taking turns.",
               "bench_engine"};
  app.add_option("--entries", settings.entries, "entries of the filled store")
      ->check(CLI::Range(1000, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--rounds", settings.rounds, "rounds: a fill and all rows each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--turns", settings.turns, "turns per round of the rows measured by time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--read-ms", settings.read_turn_ms, "length of a turn of a read row, in milliseconds")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_option("--sync-ms", settings.sync_turn_ms, "length of a turn of a synced row, in milliseconds")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_option("--cache-mb", cache_mb, "cache of each store, in MiB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--log-mb", log_mb, "log to be replayed by the row reopen, in MiB of keys and values")
      ->check(CLI::Range(1, 300))
      ->capture_default_str();
  app.add_option("--bare-bytes", settings.bare_record_bytes, "bytes per append of the bare log")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--stores", stores, "only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(store_names));
  app.add_option("--rows", rows, "only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(EngineRows::names()));
  app.add_option("--dir", parent,
                 "folder for the stores; a fresh folder in it is used and deleted afterwards")
      ->capture_default_str();
  app.add_option("--json", json, "write all samples to this file");
  CLI11_PARSE(app, argc, argv);

  settings.cache_bytes = cache_mb << 20;
  settings.log_bytes = log_mb << 20;
  settings.rows.insert(rows.begin(), rows.end());
  for (const StoreKind& kind : store_kinds()) {
    if (stores.empty() || std::find(stores.begin(), stores.end(), kind.name) != stores.end()) {
      settings.stores.push_back(&kind);
    }
  }
  settings.dir = make_fresh_folder(parent);

  Report report;
  EngineRows::declare(settings, report);
  report.note("entries", std::to_string(settings.entries));
  report.note("rounds", std::to_string(settings.rounds));
  report.note("turns per round", std::to_string(settings.turns));
  report.note("processors", std::to_string(benchmark::CPUInfo::Get().num_cpus));
  int benchmark_argc = 1;
  benchmark::Initialize(&benchmark_argc, argv);
  {
    EngineRows engine_rows(settings);
    engine_rows.register_all();
    Collector collector(report);
    benchmark::RunSpecifiedBenchmarks(&collector);
  }
  remove_folder(settings.dir);
  report.print(stdout);
  if (!json.empty()) {
    report.write_json(json);
  }
  return 0;
}

}  // namespace

}  // namespace tidemark::bench

int main(int argc, char** argv) {
  return tidemark::bench::run(argc, argv);
}
