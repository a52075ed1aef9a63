#include "server/backup/object_fetch.h"

namespace tidemark::backup {

ObjectFetch::ObjectFetch(Executor& executor, ObjectStore& store, std::vector<ObjectInfo> objects,
                         KeptObjects kept)
    : executor_(executor), store_(store), objects_(std::move(objects)), kept_(std::move(kept)) {
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

bool ObjectFetch::reader_waits() {
  MutexLock lock(mutex_);
  return waiting_;
}

Result<std::string> ObjectFetch::read(const ObjectInfo& object) {
  TM_ASSIGN(std::optional<std::string> kept, kept_.find(object));
  if (kept) return std::move(*kept);
  TM_ASSIGN(Object read, store_.get(object.key, object.size + kSlackBytes));
  if (reader_waits()) kept_.keep(object, read.bytes);
  return std::move(read.bytes);
}

}  // namespace tidemark::backup
