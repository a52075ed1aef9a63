// Runs one fuzz target over the files that are kept of it: in the ordinary tests, without a fuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::string corpus_folder;

TEST(fuzz, corpus) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(corpus_folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  EXPECT_FALSE(paths.empty());
  for (const auto& path : paths) {
    // The last name that was said is that of the culprit, if this ends here.
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    // Of just its size, so that the sanitizers see every step beyond it.
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
    std::ranges::copy(bytes, exact.get());
    EXPECT_EQ(LLVMFuzzerTestOneInput(exact.get(), bytes.size()), 0);
  }
  // No bytes at all are an input, too.
  EXPECT_EQ(LLVMFuzzerTestOneInput(nullptr, 0), 0);
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  corpus_folder = argv[1];
  return RUN_ALL_TESTS();
}
