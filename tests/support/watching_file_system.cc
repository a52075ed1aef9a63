#include "tests/support/watching_file_system.h"

#include <charconv>
#include <filesystem>
#include <fstream>

#include "engine/base/check.h"

// A file is a synced content and a list of changes since. A sync that succeeds applies the changes that were
// there when it began. A folder is two maps from names to files: as it is, and as it was when it was last
// synced.

namespace tidemark {
namespace {

constexpr std::string_view kMarker = "@mark";
constexpr size_t kMarkerDigits = 8;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

class WatchingFileSystem::WatchedFile final : public File {
 public:
  WatchedFile(WatchingFileSystem& fs, std::unique_ptr<File> base, std::shared_ptr<Inode> inode)
      : fs_(fs), base_(std::move(base)), inode_(std::move(inode)) {}

  Result<size_t> read_at(uint64_t offset, char* buffer, size_t size) const override {
    TM_TRY(fs_.before({Op::kRead, path(), offset, size}));
    return base_->read_at(offset, buffer, size);
  }
  Status write_at(uint64_t offset, std::string_view bytes) override {
    TM_TRY(fs_.before({Op::kWrite, path(), offset, bytes.size()}));
    TM_TRY(base_->write_at(offset, bytes));
    note({offset, std::string(bytes)});
    return {};
  }
  Status allocate(uint64_t offset, uint64_t size) override {
    TM_TRY(fs_.before({Op::kAllocate, path(), offset, size}));
    TM_TRY(base_->allocate(offset, size));
    if (inode_ != nullptr && offset + size > inode_->size) note({offset + size, std::nullopt});
    return {};
  }
  Status truncate(uint64_t size) override {
    TM_TRY(fs_.before({Op::kTruncate, path(), size, 0}));
    TM_TRY(base_->truncate(size));
    note({size, std::nullopt});
    return {};
  }
  Status sync_data() override {
    size_t changes = 0;
    if (inode_ != nullptr) {
      MutexLock lock(fs_.mutex_);
      changes = inode_->unsynced.size();
    }
    TM_TRY(fs_.before({Op::kSync, path(), 0, 0}));
    TM_TRY(base_->sync_data());
    if (inode_ == nullptr) return {};
    MutexLock lock(fs_.mutex_);
    const auto entry = fs_.durable_.find(path());
    const bool findable = entry != fs_.durable_.end() && entry->second == inode_;
    for (size_t i = 0; i < changes; ++i) {
      apply(inode_->synced, inode_->unsynced[i]);
      if (findable && inode_->unsynced[i].bytes && path().ends_with(".wal"))
        find_markers(*inode_->unsynced[i].bytes);
    }
    inode_->unsynced.erase(inode_->unsynced.begin(),
                           inode_->unsynced.begin() + static_cast<ptrdiff_t>(changes));
    return {};
  }
  Result<uint64_t> size() const override { return base_->size(); }
  const std::string& path() const override { return base_->path(); }

 private:
  void note(Change change) {
    if (inode_ == nullptr) return;
    MutexLock lock(fs_.mutex_);
    inode_->size =
        change.bytes ? std::max(inode_->size, change.offset + change.bytes->size()) : change.offset;
    inode_->unsynced.push_back(std::move(change));
  }
  void find_markers(std::string_view bytes) TM_REQUIRES(fs_.mutex_) {
    for (size_t at = bytes.find(kMarker); at != bytes.npos; at = bytes.find(kMarker, at + 1)) {
      const std::string_view digits = bytes.substr(at + kMarker.size(), kMarkerDigits);
      uint64_t number = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
      fs_.covered_.insert(number);
    }
  }

  WatchingFileSystem& fs_;
  const std::unique_ptr<File> base_;
  const std::shared_ptr<Inode> inode_;  // null: power loss is not tracked
};

void WatchingFileSystem::apply(std::string& bytes, const Change& change) {
  if (!change.bytes) {
    bytes.resize(change.offset, '\0');
    return;
  }
  if (bytes.size() < change.offset + change.bytes->size())
    bytes.resize(change.offset + change.bytes->size(), '\0');
  bytes.replace(change.offset, change.bytes->size(), *change.bytes);
}

void WatchingFileSystem::set_hook(Hook hook) {
  MutexLock lock(mutex_);
  hook_ = std::move(hook);
}

void WatchingFileSystem::fail(Op op, std::string part, ErrorCode code, uint64_t skip, uint64_t times) {
  MutexLock lock(mutex_);
  faults_.push_back({op, std::move(part), code, skip, times, true});
}

void WatchingFileSystem::fail_any(ErrorCode code, uint64_t skip, bool reads) {
  MutexLock lock(mutex_);
  faults_.push_back({std::nullopt, {}, code, skip, UINT64_MAX, reads});
}

void WatchingFileSystem::clear_faults() {
  MutexLock lock(mutex_);
  faults_.clear();
}

uint64_t WatchingFileSystem::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

uint64_t WatchingFileSystem::count(Op op, std::string_view part) const {
  MutexLock lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [key, n] : counts_)
    if (key.first == op && key.second.find(part) != std::string::npos) sum += n;
  return sum;
}

Status WatchingFileSystem::before(const Call& call) {
  Hook hook;
  {
    MutexLock lock(mutex_);
    const std::string name = file_name(call.path);
    ++counts_[{call.op, name}];
    for (Fault& fault : faults_) {
      if (fault.op ? *fault.op != call.op : !fault.reads && (call.op == Op::kRead || call.op == Op::kOpen))
        continue;
      if (name.find(fault.part) == std::string::npos || fault.times == 0) continue;
      if (fault.skip > 0) {
        --fault.skip;
        continue;
      }
      --fault.times;
      ++failures_;
      return tidemark::fail(fault.code, "an injected failure on " + call.path);
    }
    hook = hook_;
  }
  return hook ? hook(call) : Status();
}

std::string WatchingFileSystem::marker(uint64_t number) {
  std::string digits = std::to_string(number);
  TM_CHECK(digits.size() <= kMarkerDigits);
  return std::string(kMarker) + std::string(kMarkerDigits - digits.size(), '0') + digits;
}

bool WatchingFileSystem::covered(uint64_t marker_number) const {
  TM_CHECK(track_power_);
  MutexLock lock(mutex_);
  return covered_.contains(marker_number);
}

void WatchingFileSystem::write_power_loss(const std::string& dir, const std::string& to,
                                          Random* random) const {
  TM_CHECK(track_power_);
  std::filesystem::create_directories(to);
  MutexLock lock(mutex_);
  const auto write = [&](const std::string& path, const Inode& inode) {
    std::string bytes = inode.synced;
    for (const Change& change : inode.unsynced) {
      if (random == nullptr || random->one_in(2)) continue;
      Change part = change;
      if (part.bytes && random->one_in(3)) part.bytes->resize(random->below(part.bytes->size() + 1));
      apply(bytes, part);
    }
    std::ofstream(to + "/" + file_name(path), std::ios::binary) << bytes;
  };
  std::set<std::string> names;
  for (const Entries* entries : {&live_, &durable_})
    for (const auto& [path, inode] : *entries)
      if (parent_dir(path) == dir) names.insert(path);
  for (const std::string& path : names) {
    const auto now = live_.find(path), then = durable_.find(path);
    const bool survived = random != nullptr && random->one_in(2);
    const auto found = survived ? now : then;
    if (found != (survived ? live_.end() : durable_.end())) write(path, *found->second);
  }
}

std::shared_ptr<WatchingFileSystem::Inode> WatchingFileSystem::adopt(const std::string& path, OpenMode mode) {
  MutexLock lock(mutex_);
  auto& inode = live_[path];
  if (inode == nullptr) {
    inode = std::make_shared<Inode>();
    if (mode != OpenMode::kCreate) {  // was there before we watched: durable, as far as we know
      auto bytes = read_file(base_, path, uint64_t{1} << 32);
      TM_CHECK(bytes.has_value());
      inode->synced = std::move(*bytes);
      inode->size = inode->synced.size();
      durable_[path] = inode;
    }
  } else if (mode == OpenMode::kCreate) {
    inode->unsynced.push_back({0, std::nullopt});
    inode->size = 0;
  }
  return inode;
}

Result<std::unique_ptr<File>> WatchingFileSystem::open(const std::string& path, OpenMode mode) {
  TM_TRY(before({mode == OpenMode::kCreate ? Op::kCreate : Op::kOpen, path, 0, 0}));
  TM_ASSIGN(auto file, base_.open(path, mode));
  return std::make_unique<WatchedFile>(*this, std::move(file), track_power_ ? adopt(path, mode) : nullptr);
}

Status WatchingFileSystem::rename(const std::string& from, const std::string& to) {
  TM_TRY(before({Op::kRename, to, 0, 0}));
  TM_TRY(base_.rename(from, to));
  MutexLock lock(mutex_);
  if (const auto it = live_.find(from); it != live_.end()) {
    live_[to] = it->second;
    live_.erase(from);
  }
  return {};
}

Status WatchingFileSystem::remove(const std::string& path) {
  TM_TRY(before({Op::kRemove, path, 0, 0}));
  TM_TRY(base_.remove(path));
  MutexLock lock(mutex_);
  live_.erase(path);
  return {};
}

Status WatchingFileSystem::link(const std::string& existing, const std::string& name) {
  TM_TRY(base_.link(existing, name));
  MutexLock lock(mutex_);
  if (const auto it = live_.find(existing); it != live_.end()) live_[name] = it->second;
  return {};
}

Status WatchingFileSystem::sync_dir(const std::string& path) {
  Entries entries;
  uint64_t snapshot;
  {
    MutexLock lock(mutex_);
    snapshot = ++dir_snapshots_;
    for (const auto& [file, inode] : live_)
      if (parent_dir(file) == path) entries[file] = inode;
  }
  TM_TRY(before({Op::kSyncDir, path, 0, 0}));
  TM_TRY(base_.sync_dir(path));
  MutexLock lock(mutex_);
  // A sync that began later and ended earlier has made all of this durable, and more.
  if (std::exchange(newest_synced_dir_[path], std::max(newest_synced_dir_[path], snapshot)) > snapshot)
    return {};
  std::erase_if(durable_, [&](const auto& entry) { return parent_dir(entry.first) == path; });
  durable_.merge(entries);
  return {};
}

}  // namespace tidemark
