// One seed: a database that lives through several processes, power losses and faults, under random work.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/database.h"
#include "tests/crash/check.h"
#include "tests/crash/model.h"
#include "tests/sim/machine.h"

namespace tidemark::crash {

// What happened in runs, added up.
struct Tally {
  uint64_t runs = 0;
  uint64_t crash_points = 0;  // each with recovery and comparison behind it
  uint64_t processes = 0;
  uint64_t power_losses = 0;  // that a run went on from
  uint64_t commits = 0;       // acknowledged
  uint64_t flushes = 0;
  uint64_t compactions = 0;
  uint64_t ingests = 0;
  uint64_t rewinds = 0;
  uint64_t forks = 0;  // that a run went on with
  uint64_t manifest_rolls = 0;
  uint64_t wal_rolls = 0;
  uint64_t history_segments = 0;  // made
  uint64_t horizon_moves = 0;     // times that it was found higher
  uint64_t refused = 0;           // writes that a fault had refused
  uint64_t clock_jumps = 0;
  std::array<uint64_t, sim::kOps> faults{};  // calls made to fail, by kind
  uint64_t hash = 0;                         // of all that happened

  void add(const Tally& other);
};

struct RunOptions {
  uint64_t seed = 1;
  int processes = 3;
  // One in so many calls that change something is a crash point; 1: all.
  uint64_t crash_point_in = 4;
  int depth = 1;   // further power losses behind each crash point
  int steps = 40;  // of each client
  bool faults = true;
};

class Run {
 public:
  explicit Run(const RunOptions& options);
  // What is wrong; empty if nothing is.
  std::string go();
  const Tally& tally() const { return tally_; }

 private:
  class Process;

  void choose_terms();
  void one_process();

  const RunOptions options_;
  Random random_;
  bool chained_ = false;
  sim::Disk disk_;
  Model model_;
  Terms terms_;
  Tally tally_;
};

}  // namespace tidemark::crash
