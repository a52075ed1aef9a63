// A put writes a temporary file in the folder of the key, syncs it, renames it and syncs the folder. The lock
// is held while folders are made and the temporary created in them, so that a remove, which takes away
// folders that have become empty, does not do so in between; and again from looking at the condition until
// the rename. Bytes are written and synced without it.
//
// Listings are in the order of whole keys, in which a folder counts as its name with a slash: "a-b" comes
// before "a/c". Whether an entry is a folder takes a look at each; only as many are looked at as a page
// needs.
#include "server/backup/folder_object_store.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/base/hex.h"
#include "engine/io/entropy.h"
#include "engine/io/sync.h"
#include "server/backup/object_key.h"
#include "server/backup/s3_signature.h"

namespace tidemark::backup {
namespace {

constexpr std::string_view kTemporaryPrefix = ".tidemark-";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr size_t kTemporaryRandomBytes = 8;
constexpr size_t kPartMax = 255;    // what file systems take as a name
constexpr size_t kChunk = 1 << 20;  // after so many bytes a look whether it was cancelled
constexpr int kTriesToCreate = 3;
constexpr int kPageKeysMax = 1000;

bool is_temporary(std::string_view name) {
  return name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix);
}

// Why the parts of this text cannot be names of files; nullptr if they can. `open_end`: it goes on.
const char* bad_parts(std::string_view text, bool open_end) {
  while (true) {
    const size_t slash = std::min(text.find('/'), text.size());
    const std::string_view part = text.substr(0, slash);
    const bool last = slash == text.size();
    if (last && open_end) return nullptr;
    if (part.empty()) return "with an empty part";
    if (part == "." || part == "..") return "with a part that is only dots";
    if (part.size() > kPartMax) return "with a part of more than 255 bytes";
    if (is_temporary(part)) return "that looks like a temporary file";
    if (last) return nullptr;
    text.remove_prefix(slash + 1);
  }
}

// Stores on one folder share a lock. It goes when the last of them does: the simulation ends runs as it
// likes.
std::shared_ptr<Mutex> lock_of(FileSystem& files, const std::string& folder) {
  static SpinLock registry_lock;
  static std::map<std::pair<FileSystem*, std::string>, std::weak_ptr<Mutex>> registry;
  SpinLockGuard guard(registry_lock);
  std::erase_if(registry, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Mutex>& known = registry[{&files, folder}];
  std::shared_ptr<Mutex> mutex = known.lock();
  if (mutex == nullptr) known = mutex = std::make_shared<Mutex>();
  return mutex;
}

class FolderObjectStore final : public ObjectStore {
 public:
  FolderObjectStore(std::string folder, FileSystem& files)
      : folder_(std::move(folder)), files_(files), mutex_(lock_of(files, folder_)) {}

  Result<std::string> put(std::string_view key, std::string_view bytes,
                          const PutCondition& condition) override {
    const std::string what = "put " + describe() + "/" + std::string(key);
    TM_TRY(check(what, key));
    const std::string path = path_of(key);
    const std::string dir = parent_dir(path);
    const std::string temporary = dir + "/" + std::string(kTemporaryPrefix) +
                                  to_hex(random_bytes(kTemporaryRandomBytes)) + std::string(kTemporarySuffix);
    Status written = write_temporary(dir, temporary, bytes);
    if (written) written = publish(temporary, path, condition);
    if (!written) {
      static_cast<void>(files_.remove(temporary));  // may not be there; else it stays, and nobody sees it
      // Of a put that does not say that there is no such object.
      if (written.error().code == ErrorCode::kNotFound) written.error().code = ErrorCode::kUnavailable;
      return translated(what, written.error());
    }
    // The object may have been removed already, with its folder.
    if (Status synced = files_.sync_dir(dir); !synced && synced.error().code != ErrorCode::kNotFound)
      return translated(what, synced.error());
    return sha256_hex(bytes);
  }

  Result<std::optional<Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                               uint64_t max_bytes) override {
    const std::string what = "get " + describe() + "/" + std::string(key);
    TM_TRY(check(what, key));
    Result<std::string> bytes = read(path_of(key), max_bytes);
    if (!bytes) return translated(what, bytes.error());
    std::string tag = sha256_hex(*bytes);
    if (!known_tag.empty() && tag == known_tag) return std::nullopt;
    return Object{std::move(*bytes), std::move(tag)};
  }

  Result<ObjectPage> list(std::string_view prefix, std::string_view start_after, int max_keys) override {
    const std::string what = "list " + describe() + "/" + std::string(prefix);
    TM_TRY(check_prefix(what, prefix));
    Walk walk{prefix, start_after, static_cast<size_t>(std::clamp(max_keys, 1, kPageKeysMax)), {}};
    const Status walked = walk_folder(above(prefix), walk);
    if (!walked) return translated(what, walked.error());
    return std::move(walk.page);
  }

  Result<std::vector<std::string>> list_folders(std::string_view prefix) override {
    const std::string what = "list folders of " + describe() + "/" + std::string(prefix);
    TM_TRY(check_prefix(what, prefix));
    const std::string inside = above(prefix);
    const std::string_view begin = prefix.substr(inside.size());
    const auto names = names_in(inside);
    if (!names) return translated(what, names.error());
    std::vector<std::string> found;
    for (const std::string& name : *names) {
      if (!name.starts_with(begin)) continue;
      // One without objects is none: it may be left over, or be made for one that is still being written.
      const std::string folder = inside + name + "/";
      Walk walk{folder, {}, 1, {}};
      const Result<bool> is = is_folder(inside + name);
      if (!is) return translated(what, is.error());
      if (!*is) continue;
      if (const Status walked = walk_folder(folder, walk); !walked) return translated(what, walked.error());
      if (!walk.page.objects.empty()) found.push_back(name.substr(begin.size()));
    }
    return found;
  }

  Status remove(std::string_view key) override {
    const std::string what = "remove " + describe() + "/" + std::string(key);
    TM_TRY(check(what, key));
    const std::string path = path_of(key);
    std::string dir = parent_dir(path);
    {
      MutexLock lock(*mutex_);
      const Result<FileInfo> info = files_.info(path);
      if (!info && info.error().code == ErrorCode::kNotFound) return {};
      if (!info) return translated(what, info.error());
      if (info->is_folder) return {};
      if (Status removed = files_.remove(path); !removed) return translated(what, removed.error());
      while (dir != folder_ && remove_if_empty(dir)) dir = parent_dir(dir);
    }
    if (Status synced = files_.sync_dir(dir); !synced && synced.error().code != ErrorCode::kNotFound)
      return translated(what, synced.error());
    return {};
  }

  void cancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  std::string describe() const override { return "file://" + folder_; }

 private:
  // A listing under way.
  struct Walk {
    std::string_view prefix;
    std::string_view start_after;
    size_t max_keys;
    ObjectPage page;
    bool full() const { return page.more; }
  };

  std::string path_of(std::string_view key) const { return folder_ + "/" + std::string(key); }
  // The part of a prefix that names folders: "a/b/" of "a/b/c".
  static std::string above(std::string_view prefix) {
    const size_t slash = prefix.rfind('/');
    return slash == prefix.npos ? std::string() : std::string(prefix.substr(0, slash + 1));
  }

  Status check(const std::string& what, std::string_view key) const {
    TM_TRY(check_not_cancelled(what));
    if (Status fine = check_object_key(key); !fine) return fail_within(what, fine.error());
    if (const char* why = bad_parts(key, false))
      return fail(ErrorCode::kInvalidArgument, what + ": a key " + why + " cannot be a file");
    return check_root(what);
  }
  Status check_prefix(const std::string& what, std::string_view prefix) const {
    TM_TRY(check_not_cancelled(what));
    const char* why = has_key_characters(prefix) ? bad_parts(prefix, true) : "with odd characters";
    if (why != nullptr) return fail(ErrorCode::kInvalidArgument, what + ": no key begins " + why);
    return check_root(what);
  }
  Status check_not_cancelled(const std::string& what) const {
    if (cancelled_.load(std::memory_order_relaxed)) return fail(ErrorCode::kShutdown, what + ": cancelled");
    return {};
  }
  Status check_root(const std::string& what) const {
    const Result<FileInfo> root = files_.info(folder_);
    if (root && root->is_folder) return {};
    if (!root && root.error().code != ErrorCode::kNotFound) return translated(what, root.error());
    return fail(ErrorCode::kDenied,
                what + ": there is no folder " + folder_ + "; make it, or mount the disk that it is on");
  }

  // What the file system says, in the terms of object stores. What it refuses may go well later: the disk may
  // have room again, a network file system may be back.
  static std::unexpected<Error> translated(const std::string& what, const Error& error) {
    const bool passes = error.code == ErrorCode::kIo || error.code == ErrorCode::kNoSpace;
    return fail(passes ? ErrorCode::kUnavailable : error.code, what + ": " + error.message);
  }

  Result<bool> is_folder(const std::string& key) const {
    const Result<FileInfo> info = files_.info(path_of(key));
    if (info) return info->is_folder;
    if (info.error().code == ErrorCode::kNotFound) return false;
    return std::unexpected(info.error());
  }

  Status write_temporary(const std::string& dir, const std::string& temporary, std::string_view bytes) {
    TM_ASSIGN(const std::unique_ptr<File> file, create(dir, temporary));
    for (uint64_t offset = 0; offset < bytes.size(); offset += kChunk) {
      TM_TRY(check_not_cancelled("write"));
      TM_TRY(file->write_at(offset, bytes.substr(offset, kChunk)));
    }
    return file->sync_data();
  }

  Result<std::unique_ptr<File>> create(const std::string& dir, const std::string& temporary) {
    for (int tries = 1;; ++tries) {
      MutexLock lock(*mutex_);
      TM_TRY(make_folders(dir));
      Result<std::unique_ptr<File>> file = files_.open(temporary, OpenMode::kCreate);
      // Another process has removed what was in the folder, and the folder.
      if (!file && file.error().code == ErrorCode::kNotFound && tries < kTriesToCreate) continue;
      return file;
    }
  }

  // With their entries synced before anything is put into them. That a folder is there does not say that it
  // would be after power loss: an earlier sync may have failed.
  Status make_folders(const std::string& dir) TM_REQUIRES(*mutex_) {
    if (dir == folder_) return {};
    const Result<FileInfo> info = files_.info(dir);
    if (!info && info.error().code != ErrorCode::kNotFound) return std::unexpected(info.error());
    if (info && !info->is_folder)
      return fail(ErrorCode::kInvalidArgument, dir + " is a file, so no object can have a key below it");
    if (info && durable_folders_.contains(dir)) return {};
    TM_TRY(make_folders(parent_dir(dir)));
    TM_TRY(files_.create_dir(dir));
    TM_TRY(files_.sync_dir(parent_dir(dir)));
    durable_folders_.insert(dir);
    return {};
  }

  Status publish(const std::string& temporary, const std::string& path, const PutCondition& condition) {
    MutexLock lock(*mutex_);
    const Result<FileInfo> old = files_.info(path);
    if (!old && old.error().code != ErrorCode::kNotFound) return std::unexpected(old.error());
    if (old && old->is_folder)
      return fail(ErrorCode::kInvalidArgument, path + " is a folder, so no object can have this key");
    if (condition.kind == PutCondition::Kind::kAbsent && old)
      return fail(ErrorCode::kConflict, "the object is there already");
    if (condition.kind == PutCondition::Kind::kUnchanged) {
      if (!old) return fail(ErrorCode::kConflict, "the object is gone");
      TM_ASSIGN(const std::string bytes, read(path, UINT64_MAX));
      if (sha256_hex(bytes) != condition.tag) return fail(ErrorCode::kConflict, "the object was changed");
    }
    return files_.rename(temporary, path);
  }

  Result<std::string> read(const std::string& path, uint64_t max_bytes) const {
    TM_ASSIGN(const FileInfo info, files_.info(path));
    if (info.is_folder) return fail(ErrorCode::kNotFound, path + " is a folder");
    TM_ASSIGN(const std::unique_ptr<File> file, files_.open(path, OpenMode::kRead));
    // Of this very file: objects are replaced, not changed.
    TM_ASSIGN(const uint64_t size, file->size());
    if (size > max_bytes)
      return fail(ErrorCode::kInvalidArgument, "it has " + std::to_string(size) + " bytes, more than the " +
                                                   std::to_string(max_bytes) +
                                                   " that were asked for at most");
    std::string bytes(size, '\0');
    for (uint64_t offset = 0; offset < size; offset += kChunk) {
      TM_TRY(check_not_cancelled("read"));
      const uint64_t part = std::min<uint64_t>(kChunk, size - offset);
      TM_ASSIGN(const size_t count, file->read_at(offset, bytes.data() + offset, part));
      if (count < part) return fail(ErrorCode::kUnavailable, path + " became shorter while it was read");
    }
    return bytes;
  }

  // Without temporaries and what can be no part of a key, in order. None if there is no such folder.
  Result<std::vector<std::string>> names_in(const std::string& folder) const {
    // Without the slash at the end: paths are spelled one way only.
    const std::string path = folder.empty() ? folder_ : path_of(folder.substr(0, folder.size() - 1));
    Result<std::vector<std::string>> names = files_.list_dir(path);
    if (!names && names.error().code == ErrorCode::kNotFound) return std::vector<std::string>();
    if (!names) {
      const Result<FileInfo> info = files_.info(path);
      if (info && !info->is_folder) return std::vector<std::string>();  // an object
      return names;
    }
    std::erase_if(*names,
                  [](const std::string& name) { return is_temporary(name) || !has_key_characters(name); });
    std::ranges::sort(*names);
    return names;
  }

  // Adds the objects below `folder` ("a/b/", or empty for all) to the page. Folders wait until all names that
  // come before theirs with a slash have been seen.
  Status walk_folder(const std::string& folder, Walk& walk) const {
    TM_TRY(check_not_cancelled("list"));
    TM_ASSIGN(const std::vector<std::string> names, names_in(folder));
    std::set<std::string> waiting;  // with their slash
    const auto walk_before = [&](const std::string& key) -> Status {
      while (!walk.full() && !waiting.empty() && (key.empty() || *waiting.begin() < key)) {
        const std::string next = std::move(waiting.extract(waiting.begin()).value());
        TM_TRY(walk_folder(next, walk));
      }
      return {};
    };
    for (const std::string& name : names) {
      const std::string key = folder + name;
      TM_TRY(walk_before(key));
      if (walk.full()) return {};
      const bool may_be_object = key.starts_with(walk.prefix) && key > walk.start_after;
      const std::string below = key + "/";
      const bool may_be_folder = (below.starts_with(walk.prefix) || walk.prefix.starts_with(below)) &&
                                 (below > walk.start_after || walk.start_after.starts_with(below));
      if (!may_be_object && !may_be_folder) continue;
      const Result<FileInfo> info = files_.info(path_of(key));
      if (!info && info.error().code == ErrorCode::kNotFound) continue;  // just removed
      if (!info) return std::unexpected(info.error());
      if (info->is_folder && may_be_folder) {
        waiting.insert(below);
      } else if (!info->is_folder && may_be_object) {
        if (walk.page.objects.size() == walk.max_keys) {
          walk.page.more = true;
          return {};
        }
        walk.page.objects.push_back({key, info->size, info->modified_ms});
      }
    }
    return walk_before({});
  }

  bool remove_if_empty(const std::string& dir) TM_REQUIRES(*mutex_) {
    const auto names = files_.list_dir(dir);
    if (!names || !names->empty() || !files_.remove_dir(dir)) return false;
    durable_folders_.erase(dir);
    return true;
  }

  const std::string folder_;
  FileSystem& files_;
  const std::shared_ptr<Mutex> mutex_;
  std::set<std::string> durable_folders_ TM_GUARDED_BY(*mutex_);
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

std::unique_ptr<ObjectStore> make_folder_object_store(std::string folder, FileSystem& files) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return std::make_unique<FolderObjectStore>(std::move(folder), files);
}

}  // namespace tidemark::backup
