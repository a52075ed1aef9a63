#include "engine/format/filter.h"

#include <algorithm>

#include "engine/base/coding.h"

// A filter is an array of 64-byte lines, then one byte: the number of probes. The high 32 bits of the hash
// choose the line (by multiplication), the low 32 bits, stirred by a golden-ratio multiply for each probe,
// the bits.

namespace tidemark {
namespace {

constexpr size_t kLineBytes = 64;

size_t line_of(uint64_t hash, size_t lines) {
  return static_cast<size_t>(((hash >> 32) * lines) >> 32);
}

}  // namespace

std::string build_filter(const std::vector<uint64_t>& hashes, int bits_per_key) {
  if (bits_per_key <= 0 || hashes.empty()) return {};
  const size_t lines = std::max<size_t>(
      1, (hashes.size() * static_cast<size_t>(bits_per_key) + 8 * kLineBytes - 1) / (8 * kLineBytes));
  const int probes = std::clamp(bits_per_key * 6 / 10, 1, 12);
  std::string out(lines * kLineBytes, '\0');
  for (uint64_t hash : hashes) {
    char* line = out.data() + line_of(hash, lines) * kLineBytes;
    uint32_t h = static_cast<uint32_t>(hash);
    for (int i = 0; i < probes; ++i) {
      line[h >> 26] = static_cast<char>(line[h >> 26] | 1 << (h >> 23 & 7));
      h *= 0x9e3779b9u;
    }
  }
  out.push_back(static_cast<char>(probes));
  return out;
}

bool filter_may_contain(std::string_view filter, uint64_t hash) {
  if (filter.size() < kLineBytes + 1 || filter.size() % kLineBytes != 1) return true;
  const size_t lines = filter.size() / kLineBytes;
  const char* line = filter.data() + line_of(hash, lines) * kLineBytes;
  uint32_t h = static_cast<uint32_t>(hash);
  for (int i = static_cast<uint8_t>(filter.back()); i > 0; --i) {
    if ((line[h >> 26] >> (h >> 23 & 7) & 1) == 0) return false;
    h *= 0x9e3779b9u;
  }
  return true;
}

}  // namespace tidemark
