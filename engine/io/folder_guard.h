// The file system as one database sees it: a sync of its folder that failed is not forgotten.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/file_system.h"
#include "engine/io/sync.h"

namespace tidemark {

// Flushes, merges and the log sync one folder. After a failure it is in doubt what the folder holds on the
// disk, and a later success says nothing about what was lost: so none is reported any more. Syncs run one
// after the other, or one could succeed behind a failure that nobody has heard of yet.
class FolderGuard final : public FileSystem {
 public:
  // `base` must outlive it.
  FolderGuard(FileSystem& base, std::string dir) : base_(base), dir_(std::move(dir)) {}

  Status sync_dir(const std::string& path) override {
    if (path != dir_) return base_.sync_dir(path);
    MutexLock lock(mutex_);
    if (failure_) return fail_within("an earlier sync of the folder failed", *failure_);
    Status synced = base_.sync_dir(path);
    if (!synced) failure_ = synced.error();
    return synced;
  }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return base_.open(path, mode);
  }
  Status rename(const std::string& from, const std::string& to) override { return base_.rename(from, to); }
  Status remove(const std::string& path) override { return base_.remove(path); }
  Status link(const std::string& existing, const std::string& name) override {
    return base_.link(existing, name);
  }
  Status create_dir(const std::string& path) override { return base_.create_dir(path); }
  Status remove_dir(const std::string& path) override { return base_.remove_dir(path); }
  Result<std::vector<std::string>> list_dir(const std::string& path) override { return base_.list_dir(path); }
  Result<bool> exists(const std::string& path) override { return base_.exists(path); }
  Result<FileInfo> info(const std::string& path) override { return base_.info(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return base_.lock(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return base_.free_bytes(path); }

 private:
  FileSystem& base_;
  const std::string dir_;
  Mutex mutex_;  // held during I/O
  std::optional<Error> failure_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark
