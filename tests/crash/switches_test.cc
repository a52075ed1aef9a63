// The tests of crashes must fail when the engine is wrong. Each switch breaks one thing, and is caught.
#include <gtest/gtest.h>

#include <cstdio>

#include "engine/base/mutant.h"
#include "tests/crash/bit_rot.h"
#include "tests/crash/run.h"

namespace tidemark::crash {
namespace {

class Switch {
 public:
  explicit Switch(const char* name) { chosen_mutant = name; }
  ~Switch() { chosen_mutant = {}; }
};

// What the first seed that notices says; empty if none does.
std::string caught_by_runs(const char* name, uint64_t seeds) {
  const Switch broken(name);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.faults = false;
    Run run(options);
    const std::string problem = run.go();
    if (problem.empty()) continue;
    std::printf("%s: caught by seed %llu: %s\n", name, static_cast<unsigned long long>(seed),
                problem.c_str());
    return problem;
  }
  return {};
}

class CaughtByRuns : public testing::TestWithParam<const char*> {};

TEST_P(CaughtByRuns, InAFewSeeds) {
  EXPECT_NE(caught_by_runs(GetParam(), 40), "");
}

INSTANTIATE_TEST_SUITE_P(Switches, CaughtByRuns,
                         testing::Values("engine.skip-sync", "engine.acknowledge-early",
                                         "engine.skip-folder-sync", "engine.skip-manifest-sync",
                                         "engine.drop-tombstone", "engine.answer-check-early",
                                         "engine.forget-horizon"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '.' || c == '-') c = '_';
                           return name;
                         });

TEST(CaughtByBitRot, IgnoredChecksums) {
  const Switch broken("engine.ignore-checksum");
  BitRot rot(1);
  EXPECT_NE(rot.flip(17), "");
}

}  // namespace
}  // namespace tidemark::crash
