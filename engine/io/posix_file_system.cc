#include "engine/io/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace tidemark {
namespace {

std::unexpected<Error> system_failure(std::string_view action, const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  const bool missing = error == ENOENT;
  return fail(full      ? ErrorCode::kNoSpace
              : missing ? ErrorCode::kNotFound
                        : ErrorCode::kIo,
              std::string("cannot ") + std::string(action) + " " + path + ": " +
                  std::generic_category().message(error));
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  Result<size_t> read_at(uint64_t offset, char* buffer, size_t size) const override {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = ::pread(fd_, buffer + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0) {
        if (errno == EINTR) continue;
        return system_failure("read", path_, errno);
      }
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status write_at(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return system_failure("write", path_, errno);
      }
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return {};
  }

  Status allocate(uint64_t offset, uint64_t size) override {
    // posix_fallocate writes a byte to each block where the file system has no better way.
    int error;
    do {
      error = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(size));
    } while (error == EINTR);
    if (error != 0) return system_failure("reserve space in", path_, error);
    return {};
  }

  Status truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return system_failure("truncate", path_, errno);
    return {};
  }

  Status sync_data() override {
    // Not repeated on EINTR: after any failure the state of the pages is unknown.
    if (::fdatasync(fd_) != 0) return system_failure("sync", path_, errno);
    return {};
  }

  Result<uint64_t> size() const override {
    struct stat st;
    if (::fstat(fd_, &st) != 0) return system_failure("stat", path_, errno);
    return static_cast<uint64_t>(st.st_size);
  }

  const std::string& path() const override { return path_; }

 private:
  const int fd_;
  const std::string path_;
};

// flock belongs to the open file: it conflicts within one process too, and the system drops it with the
// process.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  const int fd_;
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case OpenMode::kRead:
        flags |= O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        flags |= O_RDWR;
        break;
      case OpenMode::kCreate:
        flags |= O_RDWR | O_CREAT | O_TRUNC;
        break;
    }
    const int fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) return system_failure(mode == OpenMode::kCreate ? "create" : "open", path, errno);
    return std::make_unique<PosixFile>(fd, path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_failure("rename", from, errno);
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return system_failure("remove", path, errno);
    return {};
  }

  Status link(const std::string& existing, const std::string& name) override {
    if (::link(existing.c_str(), name.c_str()) != 0) return system_failure("link", existing, errno);
    return {};
  }

  Status create_dir(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat st;
    if (error == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
    return system_failure("create folder", path, error);
  }

  Status remove_dir(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return system_failure("remove folder", path, errno);
    return {};
  }

  Status sync_dir(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return system_failure("open folder", path, errno);
    const int error = ::fsync(fd) != 0 ? errno : 0;
    ::close(fd);
    if (error != 0) return system_failure("sync folder", path, error);
    return {};
  }

  Result<std::vector<std::string>> list_dir(const std::string& path) override {
    DIR* dir = ::opendir(path.c_str());
    if (dir == nullptr) return system_failure("list folder", path, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error = errno;
    ::closedir(dir);
    if (error != 0) return system_failure("list folder", path, error);
    return names;
  }

  Result<bool> exists(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return system_failure("stat", path, errno);
  }

  Result<FileInfo> info(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) {
      const int error = errno;
      return system_failure("stat", path, error == ENOTDIR ? ENOENT : error);
    }
    FileInfo info;
    info.is_folder = S_ISDIR(st.st_mode);
    if (!info.is_folder) info.size = static_cast<uint64_t>(st.st_size);
    info.modified_ms = int64_t{st.st_mtim.tv_sec} * 1000 + st.st_mtim.tv_nsec / 1'000'000;
    return info;
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    TM_ASSIGN(const int fd, take_lock(path, O_RDWR | O_CREAT));
    const std::string pid = std::to_string(::getpid()) + "\n";
    // Only a hint for the message above; the lock holds without it.
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) errno = 0;
    return std::make_unique<PosixLock>(fd);
  }

  Result<std::unique_ptr<FileLock>> lock_existing(const std::string& path) override {
    // Some network file systems lock only what is open for writing.
    Result<int> fd = take_lock(path, O_RDWR);
    if (!fd && fd.error().code == ErrorCode::kIo) fd = take_lock(path, O_RDONLY);
    if (!fd) return std::unexpected(std::move(fd).error());
    return std::make_unique<PosixLock>(*fd);
  }

  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs st;
    if (::statvfs(path.c_str(), &st) != 0) return system_failure("stat the disk of", path, errno);
    return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
  }

 private:
  static Result<int> take_lock(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd < 0) return system_failure("open lock file", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      char holder[32] = {};
      const ssize_t n = ::pread(fd, holder, sizeof holder - 1, 0);
      ::close(fd);
      if (error != EWOULDBLOCK) return system_failure("lock", path, error);
      std::string who(holder, n > 0 ? static_cast<size_t>(n) : 0);
      while (!who.empty() && who.back() == '\n') who.pop_back();
      return fail(ErrorCode::kLocked, parent_dir(path) + " is in use by another process" +
                                          (who.empty() ? "" : " (process id " + who + ")"));
    }
    return fd;
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem instance;
  return instance;
}

}  // namespace tidemark
