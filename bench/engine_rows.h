// The rows of bench_engine: what is done to each store, in which order, and what is reported of it.
//
// Within a round the stores take turns row by row (A, B, C, D, E, A, B, ...); a row of short turns is gone
// through several times per round. Reads of a round all use the store that its fill row left behind, settled
// and warm.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/report.h"
#include "bench/store.h"

namespace tidemark::bench {

struct EngineSettings {
  uint64_t entries = 1'000'000;
  int rounds = 3;
  int turns = 3;  // per round, of rows that are measured by time
  int64_t read_turn_ms = 500;
  int64_t sync_turn_ms = 700;
  int sync_threads = 32;
  uint64_t log_bytes = uint64_t{64} << 20;
  uint64_t cache_bytes = uint64_t{1} << 30;
  uint64_t bare_record_bytes = 320;  // key, value and 32 bytes of framing
  std::string dir;                   // for the stores; must exist
  std::vector<const StoreKind*> stores;
  std::set<std::string> rows;  // names; empty: all
};

class EngineRows {
 public:
  // Names of all rows, in order.
  static std::vector<std::string> names();
  // Tells `report` the rows and their units.
  static void declare(const EngineSettings& settings, Report& report);

  explicit EngineRows(const EngineSettings& settings);
  ~EngineRows();
  EngineRows(const EngineRows&) = delete;
  EngineRows& operator=(const EngineRows&) = delete;

  // Registers every turn with Google Benchmark, in the order in which they are to run. A benchmark's name is
  // "<row>/<store>/turn:<n>"; its rate or time is the row's figure, and the counters of extra_rows() become
  // rows of their own. This object must live until they have run.
  void register_all();

  // Counters that a row reports beside its figure.
  struct ExtraRow {
    const char* counter;
    const char* row;
  };
  static const std::vector<ExtraRow>& extra_rows();

 private:
  struct Slot {
    const StoreKind* kind;
    std::unique_ptr<Store> loaded;  // all entries, settled, unsynced
    std::unique_ptr<Store> synced;
    uint64_t synced_next = 0;  // the next id to write there
  };
  struct Row {
    const char* name;
    bool by_time;  // several turns per round
    void (EngineRows::*run)(benchmark::State&, Slot&);
  };
  static const std::vector<Row>& all();

  bool selected(const char* row) const { return settings_.rows.empty() || settings_.rows.contains(row); }
  void register_turn(const std::string& name, int round, std::function<void(benchmark::State&)> body);
  void start_round(int round);
  void end_round();
  std::string folder(const Slot& slot, const char* what) const;

  struct Load {
    double fill_seconds = 0;
    double settle_seconds = 0;
    uint64_t disk_bytes = 0;
  };
  Load load(Slot& slot);
  Store& loaded(Slot& slot);

  void fill(benchmark::State& state, Slot& slot);
  void sync_put_1(benchmark::State& state, Slot& slot) { sync_put(state, slot, 1); }
  void sync_put_many(benchmark::State& state, Slot& slot) { sync_put(state, slot, settings_.sync_threads); }
  void sync_put(benchmark::State& state, Slot& slot, int threads);
  void bare(benchmark::State& state, BareLog::Space space);
  void reopen(benchmark::State& state, Slot& slot);
  void get_1(benchmark::State& state, Slot& slot) { get(state, slot, 1); }
  void get_2(benchmark::State& state, Slot& slot) { get(state, slot, 2); }
  void get(benchmark::State& state, Slot& slot, int threads);
  void absent(benchmark::State& state, Slot& slot);
  void scan_forward(benchmark::State& state, Slot& slot) { scan(state, slot, false); }
  void scan_reverse(benchmark::State& state, Slot& slot) { scan(state, slot, true); }
  void scan(benchmark::State& state, Slot& slot, bool reverse);

  const EngineSettings settings_;
  std::vector<Slot> slots_;
  std::vector<uint64_t> sorted_;  // mixes of all ids
  std::unique_ptr<BareLog> bare_allocated_;
  std::unique_ptr<BareLog> bare_zeroed_;
  int round_ = -1;
  uint64_t seed_ = 1;
};

}  // namespace tidemark::bench
