// How the fuzz targets read their inputs. What a target finds wrong it says by TM_CHECK, which aborts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::fuzz {

// Takes an input apart from its front. What is not there reads as zeros and as nothing.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // At most `size` bytes.
  std::string_view bytes(size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  uint64_t number(size_t size) {
    uint64_t out = 0;
    bytes(size).copy(reinterpret_cast<char*>(&out), sizeof out);
    return out;
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint64_t u64() { return number(8); }
  // A byte that says how many, then so many.
  std::string_view text() { return bytes(u8()); }

 private:
  std::string_view rest_;
};

// Stands between the parts of an input. Lengths in front of parts would be spoiled by every byte that a
// fuzzer puts in or takes out; with marks a change of one part leaves the others what they are.
inline constexpr std::string_view kMark("\xf5[#]", 4);

inline std::vector<std::string_view> split(std::string_view bytes) {
  std::vector<std::string_view> parts;
  for (size_t end; (end = bytes.find(kMark)) != bytes.npos; bytes.remove_prefix(end + kMark.size()))
    parts.push_back(bytes.substr(0, end));
  parts.push_back(bytes);
  return parts;
}

// A copy in memory of just its size, so that the sanitizers see every step beyond it.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : memory_(new char[bytes.size()]), size_(bytes.size()) {
    bytes.copy(memory_.get(), size_);
  }
  std::string_view view() const { return {memory_.get(), size_}; }

 private:
  const std::unique_ptr<char[]> memory_;
  const size_t size_;
};

}  // namespace tidemark::fuzz
