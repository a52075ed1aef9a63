// Whether what an engine database holds makes sense as a Deno KV database (docs/formats/keyspace.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace tidemark::kv {

// Of one version, by itself: the shape of its key, and whether its value can be read. kCorruption or
// kNewerFormat.
Status check_entry(std::string_view key, std::string_view value);

// Whether each value that expires has its entry in the expiry index. One thread.
class ExpiryIndexCheck {
 public:
  // Entries as a read of everything at one moment gives them: in the order of keys, without tombstones.
  // kCorruption for a value that expires and has no index entry; it would never be deleted.
  Status add(std::string_view key, std::string_view value);

 private:
  std::vector<uint64_t> index_;  // hashes of the index's keys; they come before all values
  bool sorted_ = false;
};

}  // namespace tidemark::kv
