#include "tests/support/temporary_folder.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "engine/base/check.h"

namespace tidemark {

TemporaryFolder::TemporaryFolder() {
  // In memory where that is offered: what these tests prove does not hang on the disk, and syncs may be slow.
  const std::filesystem::path shared_memory = "/dev/shm";
  const auto base =
      ::access(shared_memory.c_str(), W_OK) == 0 ? shared_memory : std::filesystem::temp_directory_path();
  std::string pattern = (base / "tidemark-test-XXXXXX").string();
  TM_CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tidemark
