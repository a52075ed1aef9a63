// Finding sealed pieces (docs/formats/segment.md) in a file whose index is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tidemark::verify {

// Calls `found` for each piece that matches its checksum, from `offset` on, in order. Where none begins, the
// next place at which one does is looked for, as long as the budget of hashed bytes lasts (some hundred times
// the file). `adjacent`: nothing lies between it and the piece before, or the start.
void search_sealed(std::string_view file, uint64_t salt, uint64_t offset,
                   const std::function<void(uint64_t offset, std::string content, bool adjacent)>& found);

}  // namespace tidemark::verify
