#include "bench/workload.h"

#include <algorithm>

#include "engine/base/random.h"

namespace tidemark::bench {

Values::Values() {
  static const std::vector<char> pool = [] {
    std::vector<char> bytes((size_t{1} << kPoolBits) + 112);
    Random random(20240229);
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const uint64_t word = random.next();
      std::memcpy(bytes.data() + i, &word, 8);
    }
    return bytes;
  }();
  pool_ = pool.data();
}

std::vector<uint64_t> sorted_mixes(uint64_t count) {
  std::vector<uint64_t> mixes(count);
  for (uint64_t id = 0; id < count; ++id) {
    mixes[id] = mix(id);
  }
  std::sort(mixes.begin(), mixes.end());
  return mixes;
}

}  // namespace tidemark::bench
