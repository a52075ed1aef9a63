// Random seeds in the simulated machine, until time is up or enough of them were run. ./dev sim
//
//     crash_explore [--seed S] [--minutes N] [--from S] [--seeds N] [--crash-point-in N] [--backups]
//
// Ends with one line of what happened; the exit code is 1 if something is wrong.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/crash/backup_run.h"
#include "tests/crash/run.h"
#include "tests/crash/store_run.h"

namespace tidemark::crash {
namespace {

// Of so many seeds one is a whole store instead of a database, and one a database with its backup.
constexpr uint64_t kEvery = 10;
constexpr uint64_t kBackup = 5;
constexpr uint64_t kStoreCrashPointIn = 6;
constexpr double kProgressSeconds = 10;

volatile uint64_t seed_now = 0;

// A broken assertion ends the process: say first which seed it was.
void tell_seed(int signal) {
  char text[64];
  const int size = std::snprintf(text, sizeof text, "seed %llu ended the process\n",
                                 static_cast<unsigned long long>(seed_now));
  if (::write(STDOUT_FILENO, text, static_cast<size_t>(size)) < 0) std::_Exit(3);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Sum {
  Tally databases;
  BackupRun::Tally backups;
};

std::string run_seed(uint64_t seed, uint64_t crash_point_in, bool backups, Sum& sum) {
  seed_now = seed;
  if (backups || seed % kEvery == kBackup) {
    BackupRun run({.seed = seed});
    std::string problem = run.go();
    sum.backups.add(run.tally());
    return problem;
  }
  if (seed % kEvery == 0) {
    StoreRun run({.seed = seed, .crash_point_in = kStoreCrashPointIn, .wanders = true});
    std::string problem = run.go();
    sum.databases.add(run.tally());
    return problem;
  }
  RunOptions options;
  options.seed = seed;
  options.crash_point_in = crash_point_in;
  Run run(options);
  std::string problem = run.go();
  sum.databases.add(run.tally());
  return problem;
}

void tell(const Sum& all, uint64_t violations) {
  const Tally& sum = all.databases;
  const BackupRun::Tally& backups = all.backups;
  const auto n = [](uint64_t number) { return static_cast<unsigned long long>(number); };
  std::printf(
      "runs %llu, crash points %llu, power losses %llu, processes %llu, commits %llu, flushes %llu, "
      "merges %llu, ingests %llu, rewinds %llu, forks %llu, writes refused %llu, clock jumps %llu, faults:",
      n(sum.runs), n(sum.crash_points), n(sum.power_losses), n(sum.processes), n(sum.commits), n(sum.flushes),
      n(sum.compactions), n(sum.ingests), n(sum.rewinds), n(sum.forks), n(sum.refused), n(sum.clock_jumps));
  for (int op = 0; op < sim::kOps; ++op) {
    if (sum.faults[static_cast<size_t>(op)] == 0) continue;
    std::printf(" %s %llu,", sim::op_name(static_cast<sim::Op>(op)), n(sum.faults[static_cast<size_t>(op)]));
  }
  std::printf(
      "\nbackups: runs %llu, crash points %llu (at requests %llu), gone on with %llu, power losses %llu, "
      "commits "
      "%llu, requests %llu, faults %llu, generations %llu, gaps %llu, commits followed %llu, replicas begun "
      "anew "
      "%llu\n",
      n(backups.runs), n(backups.crash_points), n(backups.at_requests), n(backups.gone_on),
      n(backups.power_losses), n(backups.commits), n(backups.requests), n(backups.faults),
      n(backups.generations), n(backups.gaps), n(backups.pulled), n(backups.refilled));
  std::printf("violations %llu\n", n(violations));
  std::fflush(stdout);
}

}  // namespace
}  // namespace tidemark::crash

int main(int argc, char** argv) {
  using namespace tidemark::crash;
  CLI::App app("Crashes and faults in a simulated machine, from seeds");
  uint64_t seed = 0, from = 1, seeds = UINT64_MAX;
  uint64_t crash_point_in = RunOptions().crash_point_in;
  double minutes = 0;
  bool backups = false;
  app.add_option("--seed", seed, "Run this seed alone, and show a hash of all that happened");
  app.add_option("--minutes", minutes, "Run for so long");
  app.add_option("--from", from, "The first seed");
  app.add_option("--seeds", seeds, "Run so many");
  app.add_option("--crash-point-in", crash_point_in,
                 "Lose power at one in so many calls (part of what a seed says)");
  app.add_flag("--backups", backups, "Only databases with their backups");
  CLI11_PARSE(app, argc, argv);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, tell_seed);

  Sum sum;
  uint64_t violations = 0;
  const auto one = [&](uint64_t which) {
    const std::string problem = run_seed(which, crash_point_in, backups, sum);
    if (problem.empty()) return;
    ++violations;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(which), problem.c_str());
    std::fflush(stdout);
  };
  if (seed != 0) {
    one(seed);
    std::printf("hash %016llx\n", static_cast<unsigned long long>(sum.databases.hash));
  } else {
    const double begun = seconds_now();
    const double end = minutes > 0 ? begun + minutes * 60 : seeds == UINT64_MAX ? begun + 60 : 1e18;
    double told = begun;
    for (uint64_t i = 0; i < seeds && seconds_now() < end; ++i) {
      one(from + i);
      if (seconds_now() - told < kProgressSeconds) continue;
      told = seconds_now();
      tell(sum, violations);
    }
  }
  tell(sum, violations);
  return violations == 0 ? 0 : 1;
}
