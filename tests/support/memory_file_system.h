// Files that are nowhere but in memory: a store that is made anew many thousand times a second. What is
// written is durable at once; for what a disk would hold after power loss see watching_file_system.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "engine/io/file_system.h"
#include "engine/io/sync.h"

namespace tidemark {

// Any thread. Paths are plain keys: they must be spelled the same way every time, without a slash at the end.
class MemoryFileSystem final : public FileSystem {
 public:
  MemoryFileSystem() = default;
  // The same files and folders as another one has now, unlocked.
  MemoryFileSystem(const MemoryFileSystem& other);

  // As creating the file and writing it whole. REQUIRES: the folder exists.
  void put(const std::string& path, std::string_view bytes);
  // All bytes of a file. REQUIRES: it exists.
  std::string bytes(const std::string& path) const;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& existing, const std::string& name) override;
  Status create_dir(const std::string& path) override;
  Status remove_dir(const std::string& path) override;
  Status sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list_dir(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& path) override;

 private:
  class MemoryFile;
  class MemoryLock;
  // Reserved space beyond what was written takes no memory: `size` may exceed that of `bytes`, the rest reads
  // as zeros.
  struct Inode {
    std::string bytes;
    uint64_t size = 0;
  };
  using InodeRef = std::shared_ptr<Inode>;

  Result<InodeRef> find(const std::string& path) const TM_REQUIRES(mutex_);
  Status check_folder_of(const std::string& path) const TM_REQUIRES(mutex_);

  mutable Mutex mutex_;  // for the content of files, too
  std::map<std::string, InodeRef> files_ TM_GUARDED_BY(mutex_);
  std::set<std::string> folders_ TM_GUARDED_BY(mutex_);
  std::set<std::string> locked_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark
