#include "server/host/disk_budget.h"

#include <gtest/gtest.h>

namespace tidemark::host {
namespace {

TEST(DiskBudget, NothingHappensWhileThereIsRoom) {
  const std::vector<DiskUse> uses = {{100, 200}, {300, 400}};
  const DiskPlan plan = plan_disk(uses, 1000, false);
  EXPECT_FALSE(plan.trims);
  EXPECT_FALSE(plan.full);
  EXPECT_EQ(plan.history_ceilings, (std::vector<std::optional<uint64_t>>{std::nullopt, std::nullopt}));
}

TEST(DiskBudget, HistoryGoesFirstAndEqually) {
  const std::vector<DiskUse> uses = {{100, 200}, {300, 400}, {0, 0}};
  const DiskPlan plan = plan_disk(uses, 800, false);
  EXPECT_TRUE(plan.trims);
  EXPECT_FALSE(plan.full);
  EXPECT_EQ(plan.history_ceilings, (std::vector<std::optional<uint64_t>>{45, 135, 0}));
}

TEST(DiskBudget, ThenWritesAreRefused) {
  const std::vector<DiskUse> uses = {{100, 600}, {100, 401}};
  const DiskPlan plan = plan_disk(uses, 1000, false);
  EXPECT_TRUE(plan.full);
  EXPECT_EQ(plan.history_ceilings, (std::vector<std::optional<uint64_t>>{0, 0}));
}

TEST(DiskBudget, AndTakenAgainWhenSomeRoomIsFree) {
  const auto full = [](uint64_t other, bool was_full) {
    const std::vector<DiskUse> uses = {{0, other}};
    return plan_disk(uses, 1000, was_full).full;
  };
  EXPECT_FALSE(full(1000, false));
  EXPECT_TRUE(full(1001, false));
  EXPECT_TRUE(full(981, true));
  EXPECT_FALSE(full(980, true));
}

TEST(DiskBudget, OfNothing) {
  EXPECT_FALSE(plan_disk({}, 0, false).full);
  EXPECT_FALSE(plan_disk({}, 0, true).trims);
}

}  // namespace
}  // namespace tidemark::host
