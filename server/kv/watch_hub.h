// Who is to be told when a key changes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/io/sync.h"

namespace tidemark::kv {

// Any thread.
class WatchHub {
 public:
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // One of its keys may have changed. On any thread, several at once; must be short, must not block and
    // must not call the hub.
    virtual void changed() = 0;
  };

  // From here to remove() the watcher is told of every commit that writes one of its keys, once it is head:
  // who reads head after add() misses nothing. The same key may stand there twice.
  void add(Watcher& watcher, const std::vector<std::string>& keys);
  // The same keys as were added. When it returns the watcher is not being told and will not be.
  void remove(Watcher& watcher, const std::vector<std::string>& keys);
  // To be called after a commit that wrote `key` has become head. Costs next to nothing while nobody watches.
  void notify(std::string_view key);
  // Tells all, whatever they watch.
  void notify_all();

  uint64_t watchers() const { return watchers_.load(std::memory_order_relaxed); }
  // Whether notify() is worth calling. To be asked after the commit has become head.
  bool watched() const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const;
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::unordered_map<std::string, std::vector<Watcher*>, Hash, std::equal_to<>> by_key TM_GUARDED_BY(mutex);
  };
  Shard& shard_of(std::string_view key) { return shards_[Hash()(key) % shards_.size()]; }

  std::array<Shard, 16> shards_;
  std::atomic<uint64_t> watchers_{0};
};

}  // namespace tidemark::kv
