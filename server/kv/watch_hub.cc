// A table from keys to watchers, in shards so that commits and watchers seldom meet at a lock.
//
// Neither side may miss the other: a watcher counts itself and then reads head; a committer moves head and
// then looks at the count. With a full fence between the two steps on both sides at least one of them sees
// the other.
#include "server/kv/watch_hub.h"

#include <algorithm>

#include "engine/base/hash.h"

namespace tidemark::kv {

size_t WatchHub::Hash::operator()(std::string_view key) const {
  return xxh3(key);
}

void WatchHub::add(Watcher& watcher, const std::vector<std::string>& keys) {
  watchers_.fetch_add(1, std::memory_order_relaxed);
  for (const std::string& key : keys) {
    Shard& shard = shard_of(key);
    MutexLock lock(shard.mutex);
    shard.by_key[key].push_back(&watcher);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void WatchHub::remove(Watcher& watcher, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    Shard& shard = shard_of(key);
    MutexLock lock(shard.mutex);
    const auto place = shard.by_key.find(key);
    if (place == shard.by_key.end()) continue;
    std::erase(place->second, &watcher);
    if (place->second.empty()) shard.by_key.erase(place);
  }
  watchers_.fetch_sub(1, std::memory_order_relaxed);
}

bool WatchHub::watched() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return watchers_.load(std::memory_order_relaxed) != 0;
}

void WatchHub::notify(std::string_view key) {
  Shard& shard = shard_of(key);
  MutexLock lock(shard.mutex);
  const auto place = shard.by_key.find(key);
  if (place == shard.by_key.end()) return;
  for (Watcher* const watcher : place->second) watcher->changed();
}

void WatchHub::notify_all() {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (const auto& [key, watchers] : shard.by_key)
      for (Watcher* const watcher : watchers) watcher->changed();
  }
}

}  // namespace tidemark::kv
