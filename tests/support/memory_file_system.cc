#include "tests/support/memory_file_system.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace tidemark {
namespace {

// No test means to write that far; whoever does has taken a number from damaged bytes.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

std::unexpected<Error> missing(const std::string& path) {
  return fail(ErrorCode::kNotFound, "cannot open " + path + ": there is no such file in memory");
}

}  // namespace

class MemoryFileSystem::MemoryFile final : public File {
 public:
  MemoryFile(MemoryFileSystem& fs, InodeRef inode, std::string path)
      : fs_(fs), inode_(std::move(inode)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, char* buffer, size_t size) const override {
    MutexLock lock(fs_.mutex_);
    if (offset >= inode_->size) return size_t{0};
    const size_t given = static_cast<size_t>(std::min<uint64_t>(size, inode_->size - offset));
    size_t copied = 0;
    if (offset < inode_->bytes.size()) copied = inode_->bytes.copy(buffer, given, offset);
    std::memset(buffer + copied, 0, given - copied);
    return given;
  }
  Status write_at(uint64_t offset, std::string_view bytes) override {
    MutexLock lock(fs_.mutex_);
    if (offset > kMaxFileBytes || bytes.size() > kMaxFileBytes - offset) return full();
    std::string& content = inode_->bytes;
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
    bytes.copy(content.data() + offset, bytes.size());
    inode_->size = std::max<uint64_t>(inode_->size, content.size());
    return {};
  }
  Status allocate(uint64_t offset, uint64_t size) override {
    MutexLock lock(fs_.mutex_);
    if (offset > kMaxFileBytes || size > kMaxFileBytes - offset) return full();
    inode_->size = std::max(inode_->size, offset + size);
    return {};
  }
  Status truncate(uint64_t size) override {
    MutexLock lock(fs_.mutex_);
    if (size > kMaxFileBytes) return full();
    if (size < inode_->bytes.size()) inode_->bytes.resize(size);
    inode_->size = size;
    return {};
  }
  Status sync_data() override { return {}; }
  Result<uint64_t> size() const override {
    MutexLock lock(fs_.mutex_);
    return inode_->size;
  }
  const std::string& path() const override { return path_; }

 private:
  std::unexpected<Error> full() const {
    return fail(ErrorCode::kNoSpace, "cannot write " + path_ + ": larger than a file in memory may be");
  }

  MemoryFileSystem& fs_;
  const InodeRef inode_;
  const std::string path_;
};

class MemoryFileSystem::MemoryLock final : public FileLock {
 public:
  MemoryLock(MemoryFileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~MemoryLock() override {
    MutexLock lock(fs_.mutex_);
    fs_.locked_.erase(path_);
  }

 private:
  MemoryFileSystem& fs_;
  const std::string path_;
};

MemoryFileSystem::MemoryFileSystem(const MemoryFileSystem& other) : FileSystem() {
  MutexLock own(mutex_);
  MutexLock lock(other.mutex_);
  folders_ = other.folders_;
  for (const auto& [path, inode] : other.files_) files_.emplace(path, std::make_shared<Inode>(*inode));
}

void MemoryFileSystem::put(const std::string& path, std::string_view bytes) {
  MutexLock lock(mutex_);
  TM_CHECK(check_folder_of(path).has_value());
  files_[path] = std::make_shared<Inode>(Inode{std::string(bytes), bytes.size()});
}

std::string MemoryFileSystem::bytes(const std::string& path) const {
  MutexLock lock(mutex_);
  const auto inode = find(path);
  TM_CHECK(inode.has_value());
  std::string all = (*inode)->bytes;
  all.resize((*inode)->size, '\0');
  return all;
}

Result<MemoryFileSystem::InodeRef> MemoryFileSystem::find(const std::string& path) const {
  const auto place = files_.find(path);
  if (place == files_.end()) return missing(path);
  return place->second;
}

Status MemoryFileSystem::check_folder_of(const std::string& path) const {
  const std::string folder = parent_dir(path);
  if (folder == "." || folders_.contains(folder)) return {};
  return missing(folder);
}

Result<std::unique_ptr<File>> MemoryFileSystem::open(const std::string& path, OpenMode mode) {
  MutexLock lock(mutex_);
  if (mode == OpenMode::kCreate) {
    TM_TRY(check_folder_of(path));
    InodeRef& inode = files_[path];
    if (inode == nullptr) inode = std::make_shared<Inode>();
    *inode = {};
    return std::make_unique<MemoryFile>(*this, inode, path);
  }
  TM_ASSIGN(InodeRef inode, find(path));
  return std::make_unique<MemoryFile>(*this, std::move(inode), path);
}

Status MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  TM_ASSIGN(InodeRef inode, find(from));
  TM_TRY(check_folder_of(to));
  files_.erase(from);
  files_[to] = std::move(inode);
  return {};
}

Status MemoryFileSystem::remove(const std::string& path) {
  MutexLock lock(mutex_);
  if (files_.erase(path) == 0) return missing(path);
  return {};
}

Status MemoryFileSystem::link(const std::string& existing, const std::string& name) {
  MutexLock lock(mutex_);
  TM_ASSIGN(InodeRef inode, find(existing));
  TM_TRY(check_folder_of(name));
  files_[name] = std::move(inode);
  return {};
}

Status MemoryFileSystem::create_dir(const std::string& path) {
  MutexLock lock(mutex_);
  TM_TRY(check_folder_of(path));
  folders_.insert(path);
  return {};
}

Status MemoryFileSystem::remove_dir(const std::string& path) {
  MutexLock lock(mutex_);
  if (folders_.erase(path) == 0) return missing(path);
  return {};
}

Status MemoryFileSystem::sync_dir(const std::string& path) {
  MutexLock lock(mutex_);
  if (path != "." && !folders_.contains(path)) return missing(path);
  return {};
}

Result<std::vector<std::string>> MemoryFileSystem::list_dir(const std::string& path) {
  MutexLock lock(mutex_);
  if (!folders_.contains(path)) return missing(path);
  std::vector<std::string> names;
  const auto add = [&](const std::string& entry) {
    if (parent_dir(entry) == path) names.push_back(entry.substr(path.size() + 1));
  };
  for (const auto& [file, inode] : files_) add(file);
  for (const std::string& folder : folders_) add(folder);
  return names;
}

Result<bool> MemoryFileSystem::exists(const std::string& path) {
  MutexLock lock(mutex_);
  return path == "." || files_.contains(path) || folders_.contains(path);
}

Result<FileInfo> MemoryFileSystem::info(const std::string& path) {
  MutexLock lock(mutex_);
  if (path == "." || folders_.contains(path)) return FileInfo{.is_folder = true};
  TM_ASSIGN(const InodeRef inode, find(path));
  return FileInfo{.size = inode->size};
}

Result<std::unique_ptr<FileLock>> MemoryFileSystem::lock(const std::string& path) {
  MutexLock lock(mutex_);
  TM_TRY(check_folder_of(path));
  if (!locked_.insert(path).second)
    return fail(ErrorCode::kLocked, parent_dir(path) + " is in use by another holder");
  InodeRef& inode = files_[path];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  return std::make_unique<MemoryLock>(*this, path);
}

Result<uint64_t> MemoryFileSystem::free_bytes(const std::string&) {
  return uint64_t{1} << 40;
}

}  // namespace tidemark
