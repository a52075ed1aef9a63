// The only door to files. The real one is posix_file_system.h; tests put others behind the same interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace tidemark {

// One open file. Reads may run on several threads at once, also beside one writer; writes, allocate, truncate
// and syncs are for one thread at a time. Closed when destroyed; closing promises nothing about durability.
// Errors name the file.
class File {
 public:
  virtual ~File() = default;

  // Reads up to `size` bytes at `offset` into `buffer`; fewer only where the file ends. Returns the count.
  virtual Result<size_t> read_at(uint64_t offset, char* buffer, size_t size) const = 0;
  // Writes all of `bytes` at `offset`, or fails (then any part of the range may have been written).
  // kNoSpace if the disk is full.
  virtual Status write_at(uint64_t offset, std::string_view bytes) = 0;
  // Reserves disk blocks for [offset, offset + size) and makes the file at least that long; new bytes read as
  // zeros. kNoSpace if there is no room.
  virtual Status allocate(uint64_t offset, uint64_t size) = 0;
  virtual Status truncate(uint64_t size) = 0;
  // After success every byte written before the call survives power loss, and so does the file's length.
  // After a failure the unsynced bytes are in doubt for ever: a later success says nothing about them.
  virtual Status sync_data() = 0;
  virtual Result<uint64_t> size() const = 0;
  virtual const std::string& path() const = 0;
};

// Held for as long as it lives; released by the system if the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; made empty, whether or not it existed
};

// What is known of an entry of a folder without opening it.
struct FileInfo {
  bool is_folder = false;
  uint64_t size = 0;        // of a file, in bytes
  int64_t modified_ms = 0;  // since 1970, by the clock of the disk; 0 where none is kept
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // Replaces `to` if it exists. Durable only after sync_dir of the folder (of both, if they differ).
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  // A second name for the same file.
  virtual Status link(const std::string& existing, const std::string& name) = 0;
  // Not an error if the folder exists. Parents must exist.
  virtual Status create_dir(const std::string& path) = 0;
  virtual Status remove_dir(const std::string& path) = 0;
  // Makes creations, renames, links and removals of entries directly in `path` survive power loss.
  virtual Status sync_dir(const std::string& path) = 0;
  // Names (not paths) of all entries but "." and "..", in no order.
  virtual Result<std::vector<std::string>> list_dir(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  // kNotFound if there is nothing. Follows symbolic links.
  virtual Result<FileInfo> info(const std::string& path) = 0;
  // Creates the file if need be and takes an exclusive lock on it. kLocked, with the holder's process id if
  // known, if another holder lives.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  // The same, without writing anything: kNotFound if there is no such file.
  virtual Result<std::unique_ptr<FileLock>> lock_existing(const std::string& path) { return lock(path); }
  // Bytes that an unprivileged writer may still use on the disk that holds `path`.
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;
};

// Reads a whole file. kCorruption if it is longer than `max_size`.
Result<std::string> read_file(FileSystem& fs, const std::string& path, uint64_t max_size);
// Writes `bytes` so that after success the file holds them durably, and after a crash either them or what was
// there before (writes "<path>.tmp", syncs, renames, syncs the folder).
Status write_file_atomically(FileSystem& fs, const std::string& path, std::string_view bytes);
// The folder part of a path, "." if there is none.
std::string parent_dir(const std::string& path);

}  // namespace tidemark
