// XXH3, 64 bits: the checksum of every file format here, and the hash of filters and caches.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark {

uint64_t xxh3(std::string_view bytes, uint64_t seed = 0);

}  // namespace tidemark
