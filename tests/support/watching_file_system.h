// A file system that forwards to another one, watches what is made durable, fails on demand, and can say what
// a disk would hold after power loss.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/random.h"
#include "engine/io/file_system.h"
#include "engine/io/posix_file_system.h"
#include "engine/io/sync.h"

namespace tidemark {

// Any thread. All paths must be spelled the same way every time.
class WatchingFileSystem final : public FileSystem {
 public:
  enum class Op : uint8_t {
    kOpen,
    kCreate,
    kRead,
    kWrite,
    kAllocate,
    kTruncate,
    kSync,
    kRename,
    kRemove,
    kSyncDir,
    kCreateDir,
    kRemoveDir
  };
  struct Call {
    Op op;
    std::string path;  // of a rename: where to
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  // Asked before every operation, without a lock held: may block, and makes the operation fail by giving an
  // error.
  using Hook = std::function<Status(const Call&)>;

  // `track_power`: keeps all files in memory as well, as they would be after power loss.
  explicit WatchingFileSystem(bool track_power = false, FileSystem& base = posix_file_system())
      : base_(base), track_power_(track_power) {}

  void set_hook(Hook hook);
  // From the (skip + 1)-th call on, `times` calls of `op` on files whose name contains `part` fail with
  // `code`.
  void fail(Op op, std::string part, ErrorCode code, uint64_t skip = 0, uint64_t times = UINT64_MAX);
  // As fail(), for whatever operation; reads and opening to read count only if `reads`.
  void fail_any(ErrorCode code, uint64_t skip, bool reads);
  void clear_faults();
  // Operations that were made to fail by fail() or fail_any().
  uint64_t failures() const;
  uint64_t count(Op op, std::string_view part) const;

  // A text that can be found again among bytes that were synced.
  static std::string marker(uint64_t number);
  // Whether a data sync that has ended covers bytes with this marker, in a file whose name contains ".wal"
  // and whose folder entry was synced. REQUIRES: track_power.
  bool covered(uint64_t marker_number) const;

  // Writes the folder `dir` to `to` as it would be after power loss now. Without `random`, all that was not
  // synced is lost; with it, any part of that may have survived. REQUIRES: track_power.
  void write_power_loss(const std::string& dir, const std::string& to, Random* random = nullptr) const;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& existing, const std::string& name) override;
  Status create_dir(const std::string& path) override {
    TM_TRY(before({Op::kCreateDir, path, 0, 0}));
    return base_.create_dir(path);
  }
  Status remove_dir(const std::string& path) override {
    TM_TRY(before({Op::kRemoveDir, path, 0, 0}));
    return base_.remove_dir(path);
  }
  Status sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list_dir(const std::string& path) override { return base_.list_dir(path); }
  Result<bool> exists(const std::string& path) override { return base_.exists(path); }
  Result<FileInfo> info(const std::string& path) override { return base_.info(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return base_.lock(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return base_.free_bytes(path); }

 private:
  class WatchedFile;
  // A change of a file: bytes at an offset, or, without bytes, a new size.
  struct Change {
    uint64_t offset = 0;
    std::optional<std::string> bytes;
  };
  struct Inode {
    std::string synced;
    std::vector<Change> unsynced;
    uint64_t size = 0;
  };
  using Entries = std::map<std::string, std::shared_ptr<Inode>>;
  struct Fault {
    std::optional<Op> op;
    std::string part;
    ErrorCode code;
    uint64_t skip;
    uint64_t times;
    bool reads;
  };

  Status before(const Call& call);
  static void apply(std::string& bytes, const Change& change);
  std::shared_ptr<Inode> adopt(const std::string& path, OpenMode mode);

  FileSystem& base_;
  const bool track_power_;
  mutable Mutex mutex_;
  Hook hook_ TM_GUARDED_BY(mutex_);
  std::vector<Fault> faults_ TM_GUARDED_BY(mutex_);
  uint64_t failures_ TM_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<Op, std::string>, uint64_t> counts_ TM_GUARDED_BY(mutex_);
  Entries live_ TM_GUARDED_BY(mutex_);
  Entries durable_ TM_GUARDED_BY(mutex_);
  uint64_t dir_snapshots_ TM_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> newest_synced_dir_ TM_GUARDED_BY(mutex_);
  std::set<uint64_t> covered_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark
