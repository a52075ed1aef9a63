// Some seeds of what ./dev sim explores, and that a seed says all there is to say.
#include <gtest/gtest.h>

#include "tests/crash/run.h"
#include "tests/crash/store_run.h"

namespace tidemark::crash {
namespace {

TEST(RandomRuns, SomeSeeds) {
  Tally sum;
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.crash_point_in = 8;
    crash::Run run(options);
    EXPECT_EQ(run.go(), "") << "seed " << seed;
    sum.add(run.tally());
  }
  std::printf("crash points %llu, power losses %llu\n", static_cast<unsigned long long>(sum.crash_points),
              static_cast<unsigned long long>(sum.power_losses));
  EXPECT_GT(sum.crash_points, 1000u);
  EXPECT_GT(sum.power_losses, 20u);
  EXPECT_GT(sum.flushes, 100u);
  EXPECT_GT(sum.compactions, 100u);
  EXPECT_GT(sum.ingests, 10u);
  EXPECT_GT(sum.forks, 5u);
  EXPECT_GT(sum.refused, 0u);
  EXPECT_GT(sum.clock_jumps, 0u);
}

TEST(RandomRuns, WholeStores) {
  for (uint64_t seed = 2; seed <= 4; ++seed) {
    StoreRun run({.seed = seed, .crash_point_in = 6, .wanders = true});
    EXPECT_EQ(run.go(), "") << "seed " << seed;
    EXPECT_GT(run.tally().rewinds, 1u);
  }
}

// To the last call, its place and its time.
TEST(RandomRuns, TheSameSeedIsTheSameRun) {
  for (const uint64_t seed : {3, 4, 5}) {
    uint64_t hashes[2];
    for (uint64_t& hash : hashes) {
      RunOptions options;
      options.seed = seed;
      options.crash_point_in = 50;
      crash::Run run(options);
      EXPECT_EQ(run.go(), "");
      hash = run.tally().hash;
    }
    EXPECT_EQ(hashes[0], hashes[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tidemark::crash
