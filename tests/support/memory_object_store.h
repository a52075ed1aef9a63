// A store of objects in memory, whose operations can be made to fail.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "engine/io/sync.h"
#include "server/backup/object_store.h"

namespace tidemark {

class MemoryObjectStore final : public backup::ObjectStore {
 public:
  // What becomes of an operation.
  enum class Fate {
    kDone,
    kRefused,  // kUnavailable, and nothing has happened
    kUnheard,  // kUnavailable, and it has happened
    kHalf,     // kUnavailable, and half of what was to be put is there, in place of what was there
  };
  // Asked before each operation: its name ("put", "get", "list", "remove"), and the key.
  std::function<Fate(const std::string& operation, const std::string& key)> fate;
  bool knows_conditions = true;

  Result<std::string> put(std::string_view key, std::string_view bytes,
                          const backup::PutCondition& condition) override;
  Result<std::optional<backup::Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                                       uint64_t max_bytes) override;
  Result<backup::ObjectPage> list(std::string_view prefix, std::string_view start_after,
                                  int max_keys) override;
  Result<std::vector<std::string>> list_folders(std::string_view prefix) override;
  Status remove(std::string_view key) override;
  void cancel() override {}
  std::string describe() const override { return "memory:"; }

  std::map<std::string, std::string> objects() const {
    SpinLockGuard lock(lock_);
    return objects_;
  }
  void set_objects(std::map<std::string, std::string> objects) {
    SpinLockGuard lock(lock_);
    objects_ = std::move(objects);
  }
  uint64_t operations() const {
    SpinLockGuard lock(lock_);
    return operations_;
  }

 private:
  Fate decide(const std::string& operation, std::string_view key);
  static std::string tag_of(const std::string& bytes);

  // One that nobody waits in: a simulation sees the store at one moment.
  mutable SpinLock lock_;
  std::map<std::string, std::string> objects_ TM_GUARDED_BY(lock_);
  uint64_t operations_ TM_GUARDED_BY(lock_) = 0;
};

}  // namespace tidemark
