// Pieces stand one behind the other, so where one ends the next begins; only sizes are not known. Of all
// sizes those count whose last bytes can be a codec and the right checksum, and few have the byte of a codec
// in its place. Behind a piece that is damaged each place must be tried; the small sizes that blocks have go
// first.
#include "engine/verify/sealed_search.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/format/segment_layout.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kSmallPieceBytes = uint64_t{16} << 10;  // most blocks have at most 4 KiB
constexpr uint64_t kBudgetFactor = 200;
constexpr uint64_t kBudgetBytes = uint64_t{4} << 30;

// The size of the piece at `offset`, at least `from` and at most `to` bytes, or 0.
uint64_t size_at(std::string_view file, uint64_t salt, uint64_t offset, uint64_t from, uint64_t to,
                 uint64_t& budget) {
  to = std::min<uint64_t>(to, file.size() - offset);
  const char* begin = file.data() + offset;
  for (uint64_t size = std::max<uint64_t>(from, kBlockTrailerBytes + 1); size <= to; ++size) {
    if (static_cast<uint8_t>(begin[size - kBlockTrailerBytes]) > 1) continue;
    if (budget < size) return 0;
    budget -= size;
    if (load_le64(begin + size - 8) == xxh3({begin, size - 8}, salt ^ offset)) return size;
  }
  return 0;
}

}  // namespace

void search_sealed(std::string_view file, uint64_t salt, uint64_t offset,
                   const std::function<void(uint64_t, std::string, bool)>& found) {
  uint64_t budget = std::max<uint64_t>(file.size() * kBudgetFactor, kBudgetBytes);
  bool adjacent = true;
  while (offset + kBlockTrailerBytes < file.size() && budget > 0) {
    uint64_t size = size_at(file, salt, offset, 0, kSmallPieceBytes, budget);
    if (size == 0 && adjacent)
      size = size_at(file, salt, offset, kSmallPieceBytes + 1, file.size() - offset, budget);
    if (size == 0) {
      adjacent = false;
      ++offset;
      continue;
    }
    auto content = unseal_block(file.substr(offset, size), salt, offset);
    if (content) found(offset, std::move(*content), adjacent);
    adjacent = content.has_value();
    offset += size;
  }
}

}  // namespace tidemark::verify
