#include "engine/io/file_system.h"

namespace tidemark {

std::string parent_dir(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path.empty() ? "." : "/";
  const size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> read_file(FileSystem& fs, const std::string& path, uint64_t max_size) {
  TM_ASSIGN(auto file, fs.open(path, OpenMode::kRead));
  TM_ASSIGN(const uint64_t size, file->size());
  if (size > max_size)
    return fail(ErrorCode::kCorruption, path + " has " + std::to_string(size) + " bytes, more than the " +
                                            std::to_string(max_size) + " that such a file may have");
  std::string bytes;
  Status read;
  bytes.resize_and_overwrite(size, [&](char* buffer, size_t) -> size_t {
    const auto count = file->read_at(0, buffer, size);
    if (count) return *count;
    read = std::unexpected(count.error());
    return 0;
  });
  if (!read) return std::unexpected(read.error());
  return bytes;
}

Status write_file_atomically(FileSystem& fs, const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    TM_ASSIGN(auto file, fs.open(temporary, OpenMode::kCreate));
    TM_TRY(file->write_at(0, bytes));
    TM_TRY(file->sync_data());
  }
  TM_TRY(fs.rename(temporary, path));
  return fs.sync_dir(parent_dir(path));
}

}  // namespace tidemark
