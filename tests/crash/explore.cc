// ./dev sim: runs seeds, one after the other, until time is up or something is wrong.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/crash/run.h"

using namespace tidemark;

int main(int argc, char** argv) {
  crash::RunOptions options;
  uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  crash::Tally sum;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    crash::Run run(options);
    const std::string problem = run.go();
    sum.add(run.tally());
    if (!problem.empty()) {
      std::printf("seed %lu: %s\n", seed, problem.c_str());
    }
  }
  std::printf(
      "runs %lu, crash points %lu, processes %lu, power losses %lu, commits %lu, flushes %lu, compactions "
      "%lu, ingests %lu, wal %lu manifest %lu refused %lu hash %lx\n",
      sum.runs, sum.crash_points, sum.processes, sum.power_losses, sum.commits, sum.flushes, sum.compactions,
      sum.ingests, sum.wal_rolls, sum.manifest_rolls, sum.refused, sum.hash);
}
