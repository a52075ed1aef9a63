// A FileSystem over a simulated disk: slow when it likes, failing when told to, and gone when the power is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/io/file_system.h"
#include "tests/sim/disk.h"
#include "tests/sim/scheduler.h"

namespace tidemark::sim {

enum class Op : uint8_t {
  kOpen,
  kRead,
  kList,
  // The others change something.
  kCreate,
  kWrite,
  kAllocate,
  kTruncate,
  kSync,
  kRename,
  kRemove,
  kLink,
  kSyncDir,
  kCreateDir,
  kRemoveDir,
};
inline constexpr int kOps = 14;
const char* op_name(Op op);
constexpr bool changes(Op op) {
  return op >= Op::kCreate;
}

// Calls of one kind on files whose path contains `part` fail.
struct Fault {
  Op op = Op::kSync;
  std::string part;
  uint64_t skip = 0;  // the first so many do not
  uint64_t times = 1;
  ErrorCode code = ErrorCode::kIo;
};

// For fibers of one scheduler. All that is opened in it must be gone before it is.
class SimFileSystem final : public FileSystem {
 public:
  SimFileSystem(Scheduler& scheduler, Disk& disk) : scheduler_(scheduler), disk_(disk) {}

  // Called before each call that changes something, with its number, counted from 1.
  using Hook = std::function<void(uint64_t number, Op op, const std::string& path)>;
  void set_hook(Hook hook) { hook_ = std::move(hook); }
  uint64_t changes_made() const { return changes_; }

  void add_fault(Fault fault) { faults_.push_back(std::move(fault)); }
  void clear_faults() { faults_.clear(); }
  // Calls that were made to fail, by kind; kNoSpace by capacity counts as kAllocate.
  const std::array<uint64_t, kOps>& failures() const { return failures_; }
  // The disk has room for no more than so many bytes. Nothing: no limit.
  void set_capacity(std::optional<uint64_t> bytes) { capacity_ = bytes; }
  // Every call takes up to so many times as long as usual.
  void set_slowness(int64_t factor) { slowness_ = factor; }
  // From now on every call fails, and changes nothing.
  void power_off() { off_ = true; }
  bool is_off() const { return off_; }

  Disk& disk() { return disk_; }

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
  class OpenFile;
  class Lock;

  // What every call begins with: it takes its time and may fail.
  Status begin(Op op, const std::string& path);
  std::optional<ErrorCode> fault(Op op, const std::string& path);
  Status check_room(uint64_t more, const std::string& path);
  Result<std::shared_ptr<Node>> folder_of(const std::string& path);
  Status sync(Op op, Node& node, const std::string& path);

  Scheduler& scheduler_;
  Disk& disk_;
  Hook hook_;
  uint64_t changes_ = 0;
  std::vector<Fault> faults_;
  std::array<uint64_t, kOps> failures_{};
  std::optional<uint64_t> capacity_;
  int64_t slowness_ = 1;
  bool off_ = false;
  std::set<std::string> locked_;
};

}  // namespace tidemark::sim
