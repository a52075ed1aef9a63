// One process of a run: opens the database on what the one before has left, works on it, and ends well or
// badly.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/database.h"
#include "tests/crash/run.h"

namespace tidemark::crash {

class Run::Process {
 public:
  struct Plan {
    const RunOptions& run;
    uint64_t seed;
    bool chained;  // each commit says which one it has seen before it
  };
  Process(const Plan& plan, sim::Disk& disk, Model& model, Terms& terms, Tally& tally);

  // Lives, and gives the disk that the next one will find.
  sim::Disk live();

 private:
  class Transact;

  void choose_end();
  void choose_faults();
  void on_change(uint64_t number, sim::Op op, const std::string& path);
  void main();
  bool open(Engine& engine);
  void work();
  void write_some();
  void read_some();
  void pin_some();
  void maintain_some();
  void trouble_some();
  void ingest();
  void fork(Random& random);
  void remove_left();
  void count();

  void write(Random& random);
  int64_t open_us() {
    return opened_at_us_ == 0 ? terms_.open_us
                              : terms_.open_us + machine_.clock().monotonic_us() - opened_at_us_;
  }
  Terms terms_now();
  bool done() const { return machine_off() || !model_.problem().empty(); }
  bool machine_off() const { return lost_.has_value(); }
  std::string key(Random& random);
  std::string value(Random& random);
  // One in so many; of the choices of this process.
  sim::Loss any_loss() { return static_cast<sim::Loss>(random_.below(sim::kLosses)); }

  const Plan plan_;
  Random random_;  // for what must not depend on the order of fibers
  sim::Disk& disk_;
  Model& model_;
  Terms& terms_;
  Tally& tally_;
  sim::Machine machine_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;

  struct Fork {
    Model model;
    Terms terms;
  };
  std::optional<Fork> fork_;  // one was made, of this database
  uint64_t crash_at_ = 0;     // the call at which power is lost; 0: it is not
  std::optional<sim::Disk> lost_;
  bool faulty_ = false;  // calls may be made to fail
  int64_t opened_at_us_ = 0;
  uint64_t writes_ = 0;
  uint64_t crash_points_ = 0;
};

}  // namespace tidemark::crash
