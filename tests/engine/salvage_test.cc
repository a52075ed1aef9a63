// What a repair saves: everything outside of the damage, and nothing that is not so.
#include "engine/verify/salvage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/format/file_names.h"
#include "engine/io/posix_file_system.h"
#include "tests/engine/damaged_store.h"

namespace tidemark {
namespace {

namespace fs = std::filesystem;

class SalvageTest : public DamagedStoreTest {
 protected:
  struct Salvaged {
    verify::SalvageSummary summary;
    Moments moments;
  };

  // Into a new folder, which must be sound, also after it was opened.
  Salvaged salvage() {
    const std::string to = folder_ / ("new" + std::to_string(++salvaged_));
    EXPECT_TRUE(fs::create_directory(to));
    Salvaged out;
    auto summary = verify::salvage_database(posix_file_system(), dir(), to, {});
    EXPECT_TRUE(summary.has_value()) << summary.error().message;
    if (!summary) return out;
    out.summary = *summary;
    EXPECT_EQ(check(to).text(), "");
    out.moments = look(to, moments_);
    EXPECT_EQ(check(to).text(), "");
    fs::remove_all(to);
    return out;
  }

  // Of the keys that are not said to be lost, every moment is as it was; of the others, at most something is
  // missing.
  void expect_rest(const Salvaged& salvaged, const std::string& where) {
    std::set<std::string> named;
    for (const verify::LostWrite& write : salvaged.summary.lost_listed) named.insert(write.key);
    const auto touched = [&](const std::string& key) {
      if (named.contains(key)) return true;
      return std::ranges::any_of(salvaged.summary.lost_ranges, [&](const auto& range) {
        return key >= range.keys.from && (range.keys.up_to.empty() || key <= range.keys.up_to);
      });
    };
    for (const auto& [stamp, moment] : salvaged.moments) {
      const Moment& right = moments_.at(stamp);
      for (const auto& [key, value] : moment) {
        const auto it = right.find(key);
        if (it != right.end() && it->second == value) continue;
        ASSERT_TRUE(touched(key)) << where << ": " << key << " at " << stamp.hex() << " is another";
      }
      for (const auto& [key, value] : right) {
        const auto it = moment.find(key);
        if (it != moment.end() && it->second == value) continue;
        ASSERT_TRUE(touched(key)) << where << ": " << key << " at " << stamp.hex() << " is lost";
      }
    }
  }

  int salvaged_ = 0;
};

TEST_F(SalvageTest, a_sound_store_is_copied_whole) {
  make_store();
  const Salvaged salvaged = salvage();
  EXPECT_EQ(salvaged.moments, moments_);
  EXPECT_EQ(salvaged.summary.head, moments_.rbegin()->first);
  EXPECT_EQ(salvaged.summary.commits, moments_.size());
  EXPECT_EQ(salvaged.summary.lost_writes, 0u);
}

TEST_F(SalvageTest, current_and_the_head_of_the_manifest_are_no_loss) {
  make_store();
  flip(dir() + "/CURRENT", 20);
  EXPECT_EQ(salvage().moments, moments_);
  fs::remove(dir() + "/CURRENT");
  EXPECT_EQ(salvage().moments, moments_);
  flip(files("MANIFEST").front(), 20);
  EXPECT_EQ(salvage().moments, moments_);
}

TEST_F(SalvageTest, without_a_manifest_the_present_is_saved) {
  make_store();
  fs::remove(files("MANIFEST").front());
  const Salvaged salvaged = salvage();
  EXPECT_TRUE(salvaged.summary.horizon_guessed);
  ASSERT_FALSE(salvaged.moments.empty());
  for (const auto& [stamp, moment] : salvaged.moments) EXPECT_EQ(moment, moments_.at(stamp)) << stamp.hex();
}

TEST_F(SalvageTest, blocks_are_found_without_an_index) {
  make_store();
  for (const std::string& path : files(".seg")) {
    const std::string bytes = read(path);
    // The footer, then the header too.
    flip(path, bytes.size() - 40);
    EXPECT_EQ(salvage().moments, moments_) << path;
    flip(path, 20);
    EXPECT_EQ(salvage().moments, moments_) << path;
    write(path, bytes);
  }
}

TEST_F(SalvageTest, commits_are_found_without_an_index) {
  make_store();
  for (const std::string& path : files(".chg")) {
    const std::string bytes = read(path);
    flip(path, bytes.size() - 20);
    const Salvaged salvaged = salvage();
    EXPECT_EQ(salvaged.moments, moments_);
    EXPECT_EQ(salvaged.summary.commits, moments_.size());
    write(path, bytes);
  }
}

TEST_F(SalvageTest, a_lost_value_is_not_replaced_by_an_older_one) {
  make_store();
  for (const std::string& path : files(".seg")) {
    const std::string bytes = read(path);
    fs::remove(path);
    const Salvaged salvaged = salvage();
    for (const auto& [stamp, moment] : salvaged.moments)
      for (const auto& [key, value] : moment) {
        const auto right = moments_.at(stamp).find(key);
        ASSERT_TRUE(right != moments_.at(stamp).end() && right->second == value)
            << path << ": " << key << " at " << stamp.hex();
      }
    expect_rest(salvaged, path);
    write(path, bytes);
  }
}

TEST_F(SalvageTest, commits_behind_a_hole_in_the_log) {
  make_store();
  const std::string path = files(".wal").back();
  flip(path, 100);
  const Salvaged salvaged = salvage();
  EXPECT_FALSE(salvaged.summary.log_whole);
  EXPECT_EQ(salvaged.summary.head, moments_.rbegin()->first);
  EXPECT_EQ(salvaged.summary.commits, moments_.size() - 1);
}

TEST_F(SalvageTest, flipped_bits) {
  make_store();
  std::vector<std::string> all = files("");
  Random random(5);
  for (int round = 0; round < 400; ++round) {
    const std::string path = all[random.below(all.size())];
    const std::string bytes = read(path);
    if (bytes.empty() || path.ends_with("LOCK")) continue;
    const uint64_t at = random.below(bytes.size());
    if (path.ends_with("CURRENT") && at >= 8 && at < 12) continue;  // looks like a newer version's
    flip(path, at);
    const bool found = !check(dir()).findings.empty();
    const Salvaged salvaged = salvage();
    const std::string where = path + " at " + std::to_string(at);
    if (!found) {
      EXPECT_EQ(salvaged.moments, moments_) << where;
    } else if (!path.ends_with(".wal") && salvaged.summary.log_whole) {
      // Of a log, a commit is lost that nobody can name.
      expect_rest(salvaged, where);
    }
    if (HasFailure()) return;
    write(path, bytes);
  }
}

TEST_F(SalvageTest, garbage_of_any_size) {
  make_store();
  Random random(9);
  std::vector<std::string> all = files("");
  for (int round = 0; round < 60; ++round) {
    std::map<std::string, std::string> before;
    for (int wounds = 0; wounds < 3; ++wounds) {
      const std::string path = all[random.below(all.size())];
      std::string bytes = read(path);
      before.try_emplace(path, bytes);
      if (bytes.empty() || path.ends_with("CURRENT")) continue;
      const uint64_t at = random.below(bytes.size());
      if (random.below(3) == 0)
        bytes.resize(at);
      else
        for (uint64_t i = at; i < std::min<uint64_t>(bytes.size(), at + random.below(600)); ++i)
          bytes[i] = static_cast<char>(random.next());
      write(path, bytes);
    }
    (void)check(dir());
    (void)salvage();
    if (HasFailure()) return;
    for (const auto& [path, bytes] : before) write(path, bytes);
  }
}

TEST_F(SalvageTest, refuses_what_is_newer_or_none) {
  make_store();
  std::string bytes = read(dir() + "/CURRENT");
  bytes[8] = 2;
  write(dir() + "/CURRENT", bytes);
  fs::create_directory(folder_ / "to");
  const auto newer = verify::salvage_database(posix_file_system(), dir(), folder_ / "to", {});
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, ErrorCode::kNewerFormat);
  const auto none = verify::salvage_database(posix_file_system(), folder_ / "to", folder_ / "to", {});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tidemark
