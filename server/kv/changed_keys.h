// Which keys were written between two moments.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/database.h"
#include "server/kv/keyspace.h"

namespace tidemark::kv {

// The keys of a range that commits above `from` up to `to` wrote, in order, each once. Memory is bounded,
// however many there are: then history is read more than once. One thread. REQUIRES: `from` is pinned.
class ChangedKeys {
 public:
  static constexpr size_t kMemoryBytes = size_t{256} << 20;
  // Gives further keys, in any order, again on each call.
  using More = std::function<Status(const std::function<void(std::string_view)>& give)>;

  ChangedKeys(const Database& database, Versionstamp from, Versionstamp to, KeyRange range, More more = {},
              size_t memory_bytes = kMemoryBytes)
      : database_(database),
        from_(from),
        to_(to),
        range_(std::move(range)),
        more_(std::move(more)),
        memory_bytes_(memory_bytes) {}

  // False at the end.
  Result<bool> next();
  // REQUIRES: the last next() gave true. Valid until the next call of it.
  std::string_view key() const { return view(keys_[at_ - 1]); }

 private:
  struct Key {
    uint64_t offset;
    uint32_t size;
  };

  std::string_view view(const Key& key) const {
    return std::string_view(bytes_).substr(key.offset, key.size);
  }
  size_t bytes() const { return bytes_.size() + keys_.size() * sizeof(Key); }
  void add(std::string_view key);
  void sort();
  Status read_round();

  const Database& database_;
  const Versionstamp from_;
  const Versionstamp to_;
  KeyRange range_;  // what is still to come
  const More more_;
  const size_t memory_bytes_;

  // A round: the first keys of what is to come that fit in memory.
  std::string bytes_;
  std::vector<Key> keys_;
  size_t at_ = 0;
  bool last_round_ = false;  // nothing comes behind these
  std::string round_end_;    // else: keys from here on are of a later one
};

}  // namespace tidemark::kv
