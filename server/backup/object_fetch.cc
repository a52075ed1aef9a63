#include "server/backup/object_fetch.h"

#include <algorithm>

#include "server/backup/sealed_object.h"

namespace tidemark::backup {
namespace {

// Of what may have grown since it was listed.
constexpr uint64_t kSlackBytes = 4096;

}  // namespace

ObjectFetch::ObjectFetch(Executor& executor, ObjectStore& store, std::vector<ObjectInfo> objects,
                         FetchCache cache)
    : executor_(executor), store_(store), objects_(std::move(objects)), cache_(std::move(cache)) {
  MutexLock lock(mutex_);
  start();
}

ObjectFetch::~ObjectFetch() {
  MutexLock lock(mutex_);
  stopping_ = true;
  while (running_ > 0) changed_.wait(mutex_);
}

void ObjectFetch::start() {
  while (begun_ < objects_.size() && slots_.size() < kAheadObjects && !stopping_ &&
         (slots_.empty() || ahead_bytes_ + objects_[begun_].size <= kAheadBytes)) {
    Slot& slot = slots_.emplace_back(Slot{begun_});
    ahead_bytes_ += objects_[begun_].size;
    ++begun_;
    ++running_;
    executor_.post(Lane::kBackup, [this, &slot] {
      bool wanted;
      {
        MutexLock lock(mutex_);
        wanted = !stopping_;
      }
      Result<std::string> bytes = wanted ? read(objects_[slot.index]) : std::string();
      MutexLock lock(mutex_);
      slot.bytes = std::move(bytes);
      slot.done = true;
      --running_;
      changed_.notify_all();
    });
  }
}

Result<std::optional<ObjectFetch::Fetched>> ObjectFetch::next() {
  MutexLock lock(mutex_);
  if (slots_.empty()) return std::nullopt;
  waiting_ = true;
  while (!slots_.front().done) changed_.wait(mutex_);
  waiting_ = false;
  Slot slot = std::move(slots_.front());
  slots_.pop_front();
  const ObjectInfo& info = objects_[slot.index];
  ahead_bytes_ -= info.size;
  start();
  TM_ASSIGN(std::string bytes, std::move(slot.bytes));
  return Fetched{info, std::move(bytes)};
}

std::string ObjectFetch::cached_path(const ObjectInfo& object) const {
  std::string name = object.key;
  std::ranges::replace(name, '/', '_');
  return cache_.folder + "/" + name;
}

Status ObjectFetch::keep(const std::string& path, const std::string& bytes) {
  if (!cache_.sealed) return write_file_atomically(*cache_.files, path, bytes);
  const std::string part = path + ".part";
  {
    TM_ASSIGN(const auto file, cache_.files->open(part, OpenMode::kCreate));
    TM_TRY(file->write_at(0, bytes));
  }
  return cache_.files->rename(part, path);
}

bool ObjectFetch::reader_waits() {
  MutexLock lock(mutex_);
  return waiting_;
}

Result<std::string> ObjectFetch::read(const ObjectInfo& object) {
  if (cache_.files != nullptr) {
    TM_ASSIGN(const bool kept, cache_.files->exists(cached_path(object)));
    if (kept) {
      TM_ASSIGN(std::string bytes, read_file(*cache_.files, cached_path(object), object.size));
      if (bytes.size() == object.size && (!cache_.sealed || check_seal(bytes))) return bytes;
    }
  }
  TM_ASSIGN(Object read, store_.get(object.key, object.size + kSlackBytes));
  if (cache_.files != nullptr && reader_waits()) TM_TRY(keep(cached_path(object), read.bytes));
  return std::move(read.bytes);
}

}  // namespace tidemark::backup
