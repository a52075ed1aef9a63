#include "tests/sim/file_system.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace tidemark::sim {
namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::unexpected<Error> missing(const std::string& path) {
  return fail(ErrorCode::kNotFound, "cannot open " + path + ": No such file or directory");
}

// In microseconds; the first is certain, the second the most on top.
std::pair<int64_t, int64_t> duration_us(Op op) {
  switch (op) {
    case Op::kSync:
    case Op::kSyncDir:
      return {20, 200};
    case Op::kWrite:
    case Op::kAllocate:
      return {1, 20};
    default:
      return {0, 5};
  }
}

}  // namespace

const char* op_name(Op op) {
  static constexpr const char* kNames[kOps] = {
      "open", "read",   "list",   "create", "write",       "allocate",      "truncate",
      "sync", "rename", "remove", "link",   "sync folder", "create folder", "remove folder"};
  return kNames[static_cast<int>(op)];
}

Status SimFileSystem::begin(Op op, const std::string& path) {
  const auto refuse = [&](ErrorCode code, const char* why) {
    return fail(code, "cannot " + std::string(op_name(op)) + " " + path + ": " + why);
  };
  if (off_) return refuse(ErrorCode::kIo, "the power is off");
  if (changes(op)) {
    ++changes_;
    if (hook_) hook_(changes_, op, path);
    if (off_) return refuse(ErrorCode::kIo, "the power is off");
  }
  const auto [least, more] = duration_us(op);
  const int64_t us = least + static_cast<int64_t>(scheduler_.random().below(static_cast<uint64_t>(more) + 1));
  // Most reads find their bytes in memory.
  if (changes(op) || scheduler_.random().one_in(16)) scheduler_.sleep_us(us * slowness_);
  if (off_) return refuse(ErrorCode::kIo, "the power is off");
  if (const auto code = fault(op, path)) {
    ++failures_[static_cast<size_t>(op)];
    return refuse(*code, *code == ErrorCode::kNoSpace ? "the disk is full" : "an injected failure");
  }
  return {};
}

std::optional<ErrorCode> SimFileSystem::fault(Op op, const std::string& path) {
  for (Fault& fault : faults_) {
    if (fault.op != op || fault.times == 0 || path.find(fault.part) == path.npos) continue;
    if (fault.skip > 0) {
      --fault.skip;
      continue;
    }
    --fault.times;
    return fault.code;
  }
  return std::nullopt;
}

Status SimFileSystem::check_room(uint64_t more, const std::string& path) {
  if (!capacity_ || more == 0 || disk_.bytes() + more <= *capacity_) return {};
  ++failures_[static_cast<size_t>(Op::kAllocate)];
  return fail(ErrorCode::kNoSpace, "cannot write " + path + ": No space left on device");
}

// A sync covers what was written before it began, and is done some time later.
Status SimFileSystem::sync(Op op, Node& node, const std::string& path) {
  const uint64_t mark = node.sync_mark();
  const Status begun = begin(op, path);
  if (begun) {
    node.finish_sync(mark);
  } else if (!off_) {
    node.fail_sync(mark, scheduler_.random());
  }
  return begun;
}

class SimFileSystem::OpenFile final : public File {
 public:
  OpenFile(SimFileSystem& fs, std::shared_ptr<Node> node, std::string path)
      : fs_(fs), node_(std::move(node)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, char* buffer, size_t size) const override {
    TM_TRY(fs_.begin(Op::kRead, path_));
    const std::string& bytes = node_->bytes();
    if (offset >= bytes.size()) return 0;
    const size_t count = std::min<size_t>(size, bytes.size() - offset);
    std::memcpy(buffer, bytes.data() + offset, count);
    return count;
  }
  Status write_at(uint64_t offset, std::string_view bytes) override {
    TM_TRY(fs_.check_room(growth(offset + bytes.size()), path_));
    const Status begun = fs_.begin(Op::kWrite, path_);
    if (!begun) {
      // Part of it may be there.
      if (!fs_.is_off() && fs_.scheduler_.random().one_in(2))
        node_->write(offset, bytes.substr(0, fs_.scheduler_.random().below(bytes.size() + 1)));
      return begun;
    }
    node_->write(offset, bytes);
    return {};
  }
  Status allocate(uint64_t offset, uint64_t size) override {
    TM_TRY(fs_.check_room(growth(offset + size), path_));
    TM_TRY(fs_.begin(Op::kAllocate, path_));
    if (offset + size > node_->bytes().size()) node_->resize(offset + size);
    return {};
  }
  Status truncate(uint64_t size) override {
    TM_TRY(fs_.begin(Op::kTruncate, path_));
    node_->resize(size);
    return {};
  }
  Status sync_data() override { return fs_.sync(Op::kSync, *node_, path_); }
  Result<uint64_t> size() const override { return node_->bytes().size(); }
  const std::string& path() const override { return path_; }

 private:
  uint64_t growth(uint64_t end) const {
    const uint64_t size = node_->bytes().size();
    return end > size ? end - size : 0;
  }

  SimFileSystem& fs_;
  const std::shared_ptr<Node> node_;
  const std::string path_;
};

class SimFileSystem::Lock final : public FileLock {
 public:
  Lock(SimFileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~Lock() override { fs_.locked_.erase(path_); }

 private:
  SimFileSystem& fs_;
  const std::string path_;
};

Result<std::shared_ptr<Node>> SimFileSystem::folder_of(const std::string& path) {
  std::shared_ptr<Node> folder = disk_.find(parent_dir(path));
  if (folder == nullptr || !folder->is_dir()) return missing(path);
  return folder;
}

Result<std::unique_ptr<File>> SimFileSystem::open(const std::string& path, OpenMode mode) {
  TM_TRY(begin(mode == OpenMode::kCreate ? Op::kCreate : Op::kOpen, path));
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(path));
  const auto found = folder->entries().find(name_of(path));
  std::shared_ptr<Node> node = found == folder->entries().end() ? nullptr : found->second;
  if (mode != OpenMode::kCreate) {
    if (node == nullptr) return missing(path);
  } else if (node == nullptr) {
    node = std::make_shared<Node>(false);
    folder->set_entry(name_of(path), node);
  } else {
    node->resize(0);
  }
  return std::make_unique<OpenFile>(*this, std::move(node), path);
}

Status SimFileSystem::rename(const std::string& from, const std::string& to) {
  TM_TRY(begin(Op::kRename, to));
  TM_CHECK(parent_dir(from) == parent_dir(to));  // all that this project does
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(from));
  if (!folder->entries().contains(name_of(from))) return missing(from);
  folder->move_entry(name_of(from), name_of(to));
  return {};
}

Status SimFileSystem::remove(const std::string& path) {
  TM_TRY(begin(Op::kRemove, path));
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(path));
  if (!folder->entries().contains(name_of(path))) return missing(path);
  folder->remove_entry(name_of(path));
  return {};
}

Status SimFileSystem::link(const std::string& existing, const std::string& name) {
  TM_TRY(begin(Op::kLink, name));
  std::shared_ptr<Node> node = disk_.find(existing);
  if (node == nullptr) return missing(existing);
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(name));
  if (folder->entries().contains(name_of(name))) return fail(ErrorCode::kIo, name + " exists");
  folder->set_entry(name_of(name), std::move(node));
  return {};
}

Status SimFileSystem::create_dir(const std::string& path) {
  if (const auto node = disk_.find(path); node != nullptr && node->is_dir()) return {};
  TM_TRY(begin(Op::kCreateDir, path));
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(path));
  if (!folder->entries().contains(name_of(path)))
    folder->set_entry(name_of(path), std::make_shared<Node>(true));
  return {};
}

Status SimFileSystem::remove_dir(const std::string& path) {
  TM_TRY(begin(Op::kRemoveDir, path));
  TM_ASSIGN(const std::shared_ptr<Node> folder, folder_of(path));
  const auto found = folder->entries().find(name_of(path));
  if (found == folder->entries().end()) return missing(path);
  if (!found->second->entries().empty()) return fail(ErrorCode::kIo, path + " is not empty");
  folder->remove_entry(name_of(path));
  return {};
}

Status SimFileSystem::sync_dir(const std::string& path) {
  const std::shared_ptr<Node> node = disk_.find(path);
  if (node == nullptr) return missing(path);
  return sync(Op::kSyncDir, *node, path);
}

Result<std::vector<std::string>> SimFileSystem::list_dir(const std::string& path) {
  TM_TRY(begin(Op::kList, path));
  const std::shared_ptr<Node> node = disk_.find(path);
  if (node == nullptr || !node->is_dir()) return missing(path);
  std::vector<std::string> names;
  for (const auto& [name, entry] : node->entries()) names.push_back(name);
  // In no order that anybody may count on.
  for (size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[scheduler_.random().below(i)]);
  return names;
}

Result<bool> SimFileSystem::exists(const std::string& path) {
  TM_TRY(begin(Op::kOpen, path));
  return disk_.find(path) != nullptr;
}

Result<FileInfo> SimFileSystem::info(const std::string& path) {
  TM_TRY(begin(Op::kOpen, path));
  const std::shared_ptr<Node> node = disk_.find(path);
  if (node == nullptr) return missing(path);
  if (node->is_dir()) return FileInfo{.is_folder = true};
  return FileInfo{.size = node->bytes().size()};
}

Result<std::unique_ptr<FileLock>> SimFileSystem::lock(const std::string& path) {
  if (!disk_.find(path)) TM_TRY(open(path, OpenMode::kCreate));
  if (!locked_.insert(path).second)
    return fail(ErrorCode::kLocked, parent_dir(path) + " is in use by another process");
  return std::make_unique<Lock>(*this, path);
}

Result<uint64_t> SimFileSystem::free_bytes(const std::string&) {
  const uint64_t used = disk_.bytes();
  return !capacity_ ? uint64_t{1} << 40 : *capacity_ > used ? *capacity_ - used : 0;
}

}  // namespace tidemark::sim
