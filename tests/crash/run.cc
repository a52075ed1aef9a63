#include "tests/crash/run.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/hash.h"
#include "engine/io/sync.h"
#include "tests/crash/process.h"

namespace tidemark::crash {
namespace {

constexpr int64_t kStartUs = 1'700'000'000'000'000;

}  // namespace

void Tally::add(const Tally& other) {
  runs += other.runs;
  crash_points += other.crash_points;
  processes += other.processes;
  power_losses += other.power_losses;
  commits += other.commits;
  flushes += other.flushes;
  compactions += other.compactions;
  ingests += other.ingests;
  rewinds += other.rewinds;
  forks += other.forks;
  manifest_rolls += other.manifest_rolls;
  wal_rolls += other.wal_rolls;
  history_segments += other.history_segments;
  horizon_moves += other.horizon_moves;
  refused += other.refused;
  clock_jumps += other.clock_jumps;
  for (size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
  hash ^= other.hash;
}

Run::Run(const RunOptions& options) : options_(options), random_(options.seed) {
  tally_.runs = 1;
  chained_ = !random_.one_in(4);
  choose_terms();
}

void Run::choose_terms() {
  DatabaseOptions& database = terms_.options;
  database.memtable_bytes = uint64_t{4096} << random_.below(3);
  database.max_frozen_memtables = static_cast<int>(1 + random_.below(2));
  database.segment_bytes = uint64_t{2048} << random_.below(4);
  database.block_bytes = uint32_t{128} << random_.below(3);
  database.compression = random_.one_in(2);
  database.level0_compaction_trigger = static_cast<int>(1 + random_.below(4));
  database.level0_slowdown_trigger = static_cast<int>(2 + random_.below(12));
  database.level0_stop_trigger = database.level0_slowdown_trigger + static_cast<int>(random_.below(8));
  database.level1_bytes = uint64_t{4096} << random_.below(4);
  database.level_multiplier = static_cast<int>(2 + random_.below(3));
  database.history_run_trigger = static_cast<int>(2 + random_.below(3));
  switch (random_.below(4)) {
    case 0:
      database.retention = Retention::none();
      terms_.least_retention_us = 0;
      break;
    case 1:
      database.retention = Retention::forever();
      break;
    default:
      database.retention = Retention::for_ms(static_cast<int64_t>(2 + random_.below(60)));
      terms_.least_retention_us = database.retention.duration_ms * 1000;
  }
  if (random_.one_in(6)) {
    database.history_max_bytes = 2048 + random_.below(16384);
    terms_.least_retention_us = 0;
  }
  terms_.wall_us = kStartUs;
}

std::string Run::go() {
  for (int i = 0; i < options_.processes && model_.problem().empty(); ++i) {
    Process process({options_, random_.next(), chained_}, disk_, model_, terms_, tally_);
    disk_ = process.live();
    ++tally_.processes;
  }
  tally_.commits = model_.acknowledged();
  tally_.hash = xxh3(std::to_string(tally_.hash) + model_.newest_stamp().hex(), options_.seed);
  return model_.problem();
}

}  // namespace tidemark::crash
