// Changes of a store that are cut off after every number of file operations: what was answered is true
// afterwards, what was not is done or not done, and nothing is left over.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "server/host/host.h"
#include "tests/server/kv/test_store.h"
#include "tests/support/watching_file_system.h"

namespace tidemark::host {
namespace {

constexpr int kSteps = 6;

class CrashTest : public ::testing::Test {
 protected:
  std::unique_ptr<Host> open(Engine& engine, const std::string& dir) {
    HostOptions options;
    options.data_dir = dir;
    auto host = Host::open(engine, options);
    if (!host) return nullptr;
    return std::move(*host);
  }

  // How many steps succeeded before the first that did not.
  static int run(Host& host) {
    const auto steps = {
        +[](Host& h) { return h.create_database("a").has_value(); },
        +[](Host& h) { return h.rename_database("a", "b").has_value(); },
        +[](Host& h) { return h.delete_database("b").has_value(); },
        +[](Host& h) { return h.undelete_database("b").has_value(); },
        +[](Host& h) { return h.delete_database("b").has_value(); },
        +[](Host& h) { return h.purge_database("b").has_value(); },
    };
    int done = 0;
    for (const auto& step : steps) {
      if (!step(host)) break;
      ++done;
    }
    return done;
  }

  static std::string present(Host& host) {
    std::string out;
    for (const DatabaseRecord& record : host.databases()) {
      out += (record.gone() ? "-" : "") + record.name + " ";
    }
    return out;
  }

  void expect_sound(Host& host, const std::string& dir) {
    std::set<std::string> ids;
    for (const DatabaseRecord& record : host.databases()) {
      ids.insert(record.id.text());
      EXPECT_TRUE(record.state == DatabaseState::kReady || record.state == DatabaseState::kDeleted);
      EXPECT_EQ(host.find(record.id) != nullptr, record.state == DatabaseState::kReady);
    }
    for (const auto& folder : std::filesystem::directory_iterator(dir + "/databases")) {
      EXPECT_TRUE(ids.contains(folder.path().filename())) << folder.path();
    }
  }

  test::TempFolder folder_;
};

TEST_F(CrashTest, EveryChangeSurvivesACrashAtEveryPoint) {
  // After so many steps, and perhaps one more.
  const std::vector<std::string> after = {"default ",   "a default ",  "b default ", "-b default ",
                                          "b default ", "-b default ", "default "};
  ASSERT_EQ(after.size(), size_t{kSteps} + 1);
  int farthest = 0;
  uint64_t points = 0;
  for (uint64_t point = 0;; ++point) {
    const std::string dir = folder_ / ("data" + std::to_string(point));
    WatchingFileSystem fs;
    EngineComponents components;
    components.file_system = &fs;
    const auto engine = Engine::create({}, components);
    auto host = open(*engine, dir);
    ASSERT_TRUE(host);
    fs.fail_any(ErrorCode::kIo, point, false);
    const int done = run(*host);
    const bool cut_off = fs.failures() > 0;
    (void)host->close().has_value();
    host.reset();
    fs.clear_faults();

    host = open(*engine, dir);
    ASSERT_TRUE(host) << point;
    host->maintain();
    const std::string found = present(*host);
    const auto unfinished = static_cast<size_t>(std::min(done + 1, kSteps));
    EXPECT_TRUE(found == after[static_cast<size_t>(done)] || found == after[unfinished])
        << "after " << point << " operations and " << done << " steps: " << found;
    expect_sound(*host, dir);
    EXPECT_TRUE(host->create_database("another").has_value());
    EXPECT_TRUE(host->close().has_value());
    farthest = std::max(farthest, done);
    if (!cut_off) break;
    ++points;
  }
  EXPECT_EQ(farthest, kSteps);
  EXPECT_GT(points, 40u);
}

TEST_F(CrashTest, ADatabaseThatCouldNotBeMadeLeavesNothing) {
  WatchingFileSystem fs;
  EngineComponents components;
  components.file_system = &fs;
  const auto engine = Engine::create({}, components);
  const std::string dir = folder_ / "data";
  const auto host = open(*engine, dir);
  ASSERT_TRUE(host);
  fs.fail(WatchingFileSystem::Op::kCreate, "CURRENT", ErrorCode::kNoSpace);
  const auto made = host->create_database("a");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::kNoSpace) << made.error().message;
  EXPECT_NE(made.error().message.find("'a' was not made"), std::string::npos);
  EXPECT_EQ(present(*host), "default ");
  expect_sound(*host, dir);
  fs.clear_faults();
  EXPECT_TRUE(host->create_database("a").has_value());
}

TEST_F(CrashTest, MakingAStoreSurvivesACrashAtEveryPoint) {
  for (uint64_t point = 0;; ++point) {
    const std::string dir = folder_ / ("new" + std::to_string(point));
    WatchingFileSystem fs;
    EngineComponents components;
    components.file_system = &fs;
    const auto engine = Engine::create({}, components);
    fs.fail_any(ErrorCode::kIo, point, false);
    open(*engine, dir);
    const bool cut_off = fs.failures() > 0;
    fs.clear_faults();
    const auto host = open(*engine, dir);
    ASSERT_TRUE(host) << point;
    EXPECT_EQ(present(*host), "default ");
    EXPECT_TRUE(host->find("default"));
    if (!cut_off) break;
  }
}

}  // namespace
}  // namespace tidemark::host
