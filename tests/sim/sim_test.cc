// The simulated machine itself: what a disk keeps, and that threads meet as they should.
#include <gtest/gtest.h>

#include <set>

#include "engine/io/sync.h"
#include "tests/sim/machine.h"

namespace tidemark::sim {
namespace {

constexpr int64_t kWallUs = 1'700'000'000'000'000;

std::string read(SimFileSystem& fs, const std::string& path) {
  const auto bytes = read_file(fs, path, 1 << 20);
  return bytes ? *bytes : bytes.error().message;
}

TEST(SimDisk, KeepsWhatWasSyncedAndPerhapsMore) {
  std::set<std::string> found;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Disk disk;
    Machine machine(seed, disk, kWallUs);
    Random random(seed);
    machine.run([&] {
      SimFileSystem& fs = machine.file_system();
      auto file = fs.open("/a", OpenMode::kCreate);
      ASSERT_TRUE((*file)->write_at(0, std::string(1024, 's')).has_value());
      ASSERT_TRUE((*file)->sync_data().has_value());
      ASSERT_TRUE(fs.sync_dir("/").has_value());
      ASSERT_TRUE((*file)->write_at(1024, std::string(1024, 'u')).has_value());
      ASSERT_TRUE(fs.rename("/a", "/b").has_value());
    });
    Disk left = disk.after_crash(static_cast<Loss>(seed % kLosses), random);
    Machine later(seed, left, kWallUs);
    later.run([&] {
      SimFileSystem& fs = later.file_system();
      const bool renamed = *fs.exists("/b");
      EXPECT_NE(*fs.exists("/a"), renamed);
      const std::string bytes = read(fs, renamed ? "/b" : "/a");
      ASSERT_GE(bytes.size(), 1024u);
      ASSERT_EQ(bytes.substr(0, 1024), std::string(1024, 's'));
      const std::string rest = bytes.substr(1024);
      std::string what = renamed ? "renamed " : "";
      const bool garbage = rest.find_first_not_of(std::string("u\0", 2)) != rest.npos;
      if (rest.empty())
        what += "nothing";
      else if (garbage)
        what += "garbage";
      else if (rest.find('u') == rest.npos)
        what += "zeros";
      else
        what += rest == std::string(1024, 'u') ? "all" : "part";
      found.insert(what);
    });
  }
  for (const char* what : {"nothing", "all", "part", "zeros", "garbage", "renamed all", "renamed nothing"})
    EXPECT_TRUE(found.contains(what)) << what;
}

TEST(SimDisk, AnEntryThatWasNotSyncedMayBeMissing) {
  bool missing = false, there = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Disk disk;
    Machine machine(seed, disk, kWallUs);
    Random random(seed);
    machine.run([&] {
      auto file = machine.file_system().open("/a", OpenMode::kCreate);
      ASSERT_TRUE((*file)->write_at(0, "bytes").has_value());
      ASSERT_TRUE((*file)->sync_data().has_value());
    });
    Disk left = disk.after_crash(static_cast<Loss>(seed % kLosses), random);
    const auto node = left.find("/a");
    (node == nullptr ? missing : there) = true;
    if (node != nullptr) {
      EXPECT_EQ(node->bytes(), "bytes");
    }
  }
  EXPECT_TRUE(missing && there);
}

// After a failed sync the system shows bytes that are on no disk, and a later sync does not bring them there.
TEST(SimDisk, AFailedSyncIsNotMadeGoodByTheNext) {
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    Machine machine(seed, disk, kWallUs);
    Random random(seed);
    machine.run([&] {
      SimFileSystem& fs = machine.file_system();
      auto file = fs.open("/a", OpenMode::kCreate);
      ASSERT_TRUE(fs.sync_dir("/").has_value());
      ASSERT_TRUE((*file)->write_at(0, "bytes").has_value());
      fs.add_fault({.op = Op::kSync, .part = ""});
      EXPECT_FALSE((*file)->sync_data().has_value());
      EXPECT_TRUE((*file)->sync_data().has_value());
      EXPECT_EQ(read(fs, "/a"), "bytes");
    });
    const std::string bytes = disk.after_crash(Loss::kAll, random).find("/a")->bytes();
    (bytes == "bytes" ? kept : lost) = true;
  }
  EXPECT_TRUE(lost && kept);
}

TEST(SimFileSystemTest, FaultsAndFullDisks) {
  Disk disk;
  Machine machine(1, disk, kWallUs);
  machine.run([&] {
    SimFileSystem& fs = machine.file_system();
    auto file = fs.open("/x.wal", OpenMode::kCreate);
    fs.add_fault({.op = Op::kWrite, .part = ".wal", .skip = 1, .times = 1});
    EXPECT_TRUE((*file)->write_at(0, "one").has_value());
    EXPECT_FALSE((*file)->write_at(3, "two").has_value());
    EXPECT_TRUE((*file)->write_at(3, "two").has_value());
    EXPECT_EQ(read(fs, "/x.wal"), "onetwo");
    fs.set_capacity(10);
    EXPECT_EQ((*file)->allocate(0, 11).error().code, ErrorCode::kNoSpace);
    EXPECT_TRUE((*file)->allocate(0, 10).has_value());
    fs.set_capacity(std::nullopt);
    EXPECT_TRUE((*file)->allocate(0, 11).has_value());
    fs.power_off();
    EXPECT_FALSE((*file)->write_at(0, "x").has_value());
    EXPECT_EQ(fs.failures()[static_cast<size_t>(Op::kWrite)], 1u);
  });
}

TEST(SimFileSystemTest, TwoSyncsAtOnceCoverWhatWasThereWhenEachBegan) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Disk disk;
    Machine machine(seed, disk, kWallUs);
    Random random(seed);
    machine.run([&] {
      SimFileSystem& fs = machine.file_system();
      int done = 0;
      for (int i = 0; i < 3; ++i) {
        machine.scheduler().spawn([&, i] {
          machine.scheduler().sleep_us(static_cast<int64_t>(seed % 7) * i * 20);
          const std::string path = "/f" + std::to_string(i);
          (void)fs.open(path, OpenMode::kCreate);
          ASSERT_TRUE(fs.sync_dir("/").has_value());
          EXPECT_NE(disk.after_crash(Loss::kAll, random).find(path), nullptr);
          ++done;
        });
      }
      while (done < 3) machine.scheduler().sleep_us(10);
    });
  }
}

TEST(SimThreads, LocksExcludeAndWaitsAreWoken) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    Machine machine(seed, disk, kWallUs);
    int inside = 0, turns = 0, woken = 0;
    Mutex mutex;
    CondVar changed;
    bool go = false;
    machine.run([&] {
      for (int i = 0; i < 4; ++i) {
        machine.scheduler().spawn([&] {
          for (int j = 0; j < 10; ++j) {
            MutexLock lock(mutex);
            EXPECT_EQ(++inside, 1);
            machine.scheduler().yield();
            --inside;
            ++turns;
          }
          MutexLock lock(mutex);
          while (!go) changed.wait(mutex);
          ++woken;
        });
      }
      machine.scheduler().sleep_us(1000);
      {
        MutexLock lock(mutex);
        const int64_t before = machine.clock().monotonic_us();
        changed.wait_for_us(mutex, 5000);
        EXPECT_GE(machine.clock().monotonic_us() - before, 5000);
        go = true;
        changed.notify_all();
      }
    });
    EXPECT_EQ(turns, 40);
    EXPECT_EQ(woken, 4);
  }
}

TEST(SimThreads, LanesRunAsManyTasksAsTheRealOnes) {
  Disk disk;
  Machine machine(7, disk, kWallUs);
  int running = 0, most = 0, ended = 0;
  machine.run([&] {
    for (int i = 0; i < 20; ++i) {
      machine.executor().post_after(Lane::kCompaction, i, [&] {
        most = std::max(most, ++running);
        machine.scheduler().sleep_us(50);
        --running;
        ++ended;
      });
    }
  });
  EXPECT_EQ(ended, 20);
  EXPECT_EQ(most, ThreadCounts().compaction);
}

}  // namespace
}  // namespace tidemark::sim
