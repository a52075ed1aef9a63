// A blocked Bloom filter over keys: all bits of a key lie in one 64-byte line, so a look-up is one cache
// miss. Byte by byte: docs/formats/segment.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/hash.h"

namespace tidemark {

inline uint64_t filter_hash(std::string_view key) {
  return xxh3(key);
}

// `hashes`: filter_hash of each key (repeats are harmless). Empty if bits_per_key is 0.
std::string build_filter(const std::vector<uint64_t>& hashes, int bits_per_key);

// False: no key with this hash was added. True: perhaps. An empty or malformed filter says true.
bool filter_may_contain(std::string_view filter, uint64_t hash);

}  // namespace tidemark
