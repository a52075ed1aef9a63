// Stores that older builds have written, one folder for each format version, sound and damaged: every build
// reads from them what the one that wrote them did (docs/UPGRADING.md).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/golden/describe.h"
#include "tests/support/temporary_folder.h"

namespace tidemark::golden {
namespace {

namespace fs = std::filesystem;

const fs::path kStores = fs::path(TIDEMARK_SOURCE_ROOT) / "tests/golden/stores";

std::vector<std::string> stores() {
  std::vector<std::string> names;
  for (const auto& version : fs::directory_iterator(kStores))
    for (const auto& entry : fs::directory_iterator(version))
      if (entry.is_directory()) names.push_back(fs::relative(entry.path(), kStores));
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ReadsAsItWasWritten) {
  TemporaryFolder folder;
  const std::string copy = folder / "copy";
  fs::copy(kStores / GetParam(), copy, fs::copy_options::recursive);
  std::ifstream in(kStores / (GetParam() + ".txt"), std::ios::binary);
  ASSERT_TRUE(in);
  const std::string wanted{std::istreambuf_iterator<char>(in), {}};
  const bool store = fs::path(GetParam()).filename() == "store";
  const auto describe = store ? describe_store : describe_database;
  EXPECT_EQ(describe(copy), wanted);
  // Opened and closed by this build, it says the same again.
  EXPECT_EQ(describe(copy), wanted);
}

INSTANTIATE_TEST_SUITE_P(Stores, Golden, testing::ValuesIn(stores()), [](const auto& info) {
  std::string name = info.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

TEST(GoldenStores, ThereAreSoundAndDamagedOnesOfEachVersion) {
  for (const auto& version : fs::directory_iterator(kStores)) {
    for (const char* name :
         {"database-closed", "database-killed", "database-fork", "store", "database-segment-flipped",
          "database-log-flipped", "database-manifest-flipped", "database-changes-flipped"})
      EXPECT_TRUE(fs::is_directory(version.path() / name)) << version.path() << " has no " << name;
  }
}

}  // namespace
}  // namespace tidemark::golden
