// Tidemark's engine opened directly, for benchmarks of what the other engines do not have: history and
// tombstones.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bench/workload.h"
#include "engine/database.h"

namespace tidemark::bench {

// Of a store that keeps all history, unsynced, and so small in its parts that a head of so many bytes fills
// three levels.
DatabaseOptions levelled_options(uint64_t head_bytes);

// Errors end the process.
class OwnStore {
 public:
  OwnStore(const std::string& dir, uint64_t cache_bytes, const DatabaseOptions& options);
  ~OwnStore();
  OwnStore(const OwnStore&) = delete;
  OwnStore& operator=(const OwnStore&) = delete;

  // One commit each.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  // Valid until the next call of get(). Nothing if the key is absent.
  std::optional<std::string_view> get(std::string_view key);
  // The first key at or after `start` and below `end`, empty if there is none.
  std::string first_key(std::string_view start, std::string_view end);
  // Up to `limit` entries from `start` (inclusive) upwards, or downwards.
  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check);
  // Flushes and waits until no merge is due; levels stay as they are.
  void settle();
  // One sorted run of what is live, and one of history.
  void merge_fully();
  // "level 0: 2 segments, 3 MB; ...; history: ...".
  std::string levels() const;

 private:
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
  PinnedValue value_;
};

}  // namespace tidemark::bench
