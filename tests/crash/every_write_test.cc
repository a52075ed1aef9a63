// Power lost at every single call, in a workload that has some of everything.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/crash/store_run.h"

namespace tidemark::crash {
namespace {

TEST(EveryWrite, IsSurvived) {
  StoreRun run({.seed = 1});
  EXPECT_EQ(run.go(), "");
  const Tally& tally = run.tally();
  std::printf(
      "crash points %llu: flushes %llu, compactions %llu, manifests begun %llu, WAL files begun %llu, "
      "history "
      "segments %llu, ingests %llu, databases made %llu, removed %llu, keys expired %llu\n",
      static_cast<unsigned long long>(tally.crash_points), static_cast<unsigned long long>(tally.flushes),
      static_cast<unsigned long long>(tally.compactions),
      static_cast<unsigned long long>(tally.manifest_rolls), static_cast<unsigned long long>(tally.wal_rolls),
      static_cast<unsigned long long>(tally.history_segments), static_cast<unsigned long long>(tally.ingests),
      static_cast<unsigned long long>(run.databases_made()),
      static_cast<unsigned long long>(run.databases_removed()),
      static_cast<unsigned long long>(run.expired()));
  EXPECT_GT(tally.crash_points, 500u);
  EXPECT_GT(tally.flushes, 0u);
  EXPECT_GT(tally.compactions, 0u);
  EXPECT_GT(tally.manifest_rolls, 5u);  // each database begins with one
  EXPECT_GT(tally.wal_rolls, 10u);
  EXPECT_GT(tally.history_segments, 0u);
  EXPECT_GT(tally.ingests, 0u);
  EXPECT_GT(run.databases_made(), 0u);
  EXPECT_GT(run.databases_removed(), 0u);
  EXPECT_GT(run.expired(), 0u);
}

}  // namespace
}  // namespace tidemark::crash
