// The backup's share of what ./dev sim explores: crashes at requests to the store of objects, and at the
// disk's calls.
#include "tests/crash/backup_run.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tidemark::crash {
namespace {

// At every one, without faults of the store: power is trouble enough.
TEST(BackupRuns, EveryRequest) {
  BackupRun::Tally sum;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    BackupRun run(
        {.seed = seed, .processes = 2, .request_in = 1, .change_in = 200, .steps = 8, .faults = false});
    EXPECT_EQ(run.go(), "") << "seed " << seed;
    sum.add(run.tally());
  }
  std::printf("crash points %llu\n", static_cast<unsigned long long>(sum.crash_points));
  EXPECT_EQ(sum.at_requests, sum.requests);
  EXPECT_GT(sum.requests, 300u);
  EXPECT_GT(sum.commits, 40u);
  EXPECT_GT(sum.gated, 0u);
  EXPECT_LT(sum.gated, sum.runs);
}

TEST(BackupRuns, SomeSeeds) {
  BackupRun::Tally sum;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    BackupRun run({.seed = seed, .request_in = 6, .change_in = 60});
    EXPECT_EQ(run.go(), "") << "seed " << seed;
    sum.add(run.tally());
  }
  std::printf("crash points %llu, power losses %llu\n", static_cast<unsigned long long>(sum.crash_points),
              static_cast<unsigned long long>(sum.power_losses));
  EXPECT_GT(sum.crash_points, 1000u);
  EXPECT_GT(sum.gone_on, 200u);
  EXPECT_GT(sum.power_losses, 20u);
  EXPECT_GT(sum.commits, 1000u);
  EXPECT_GT(sum.faults, 40u);
  EXPECT_GT(sum.generations, 40u);
  EXPECT_GT(sum.gaps, 0u);
  EXPECT_GT(sum.pulled, 100u);
  EXPECT_GT(sum.gated, 5u);
}

}  // namespace
}  // namespace tidemark::crash
