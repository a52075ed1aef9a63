// The entries that every store is given: 32-byte keys with a shared 16-byte prefix, 256-byte values of which
// general compressors save about half.
//
// Entry `id` (any 64-bit number) has the key kKeyPrefix followed by 16 hex digits of mix(id). mix is a
// bijection whose output looks random: ids counted upwards arrive in random key order, and an id that was
// never written gives a key that lies among those that were.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "bench/machine.h"

namespace tidemark::bench {

inline constexpr size_t kPrefixBytes = 16;
inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kValueBytes = 256;
inline constexpr std::string_view kKeyPrefix = "tenant/4711/obj/";
static_assert(kKeyPrefix.size() == kPrefixBytes);

// The finalizer of SplitMix64.
constexpr uint64_t mix(uint64_t id) {
  uint64_t z = id + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

class Key {
 public:
  Key() { std::memcpy(bytes_.data(), kKeyPrefix.data(), kPrefixBytes); }
  explicit Key(uint64_t id) : Key() { set(id); }
  void set(uint64_t id) { set_mixed(mix(id)); }
  // The key of the id whose mix is `mixed`; keys are ordered as these numbers.
  void set_mixed(uint64_t mixed) {
    constexpr char kDigits[] = "0123456789abcdef";
    for (size_t i = 0; i < 16; ++i) {
      bytes_[kPrefixBytes + i] = kDigits[(mixed >> (60 - 4 * i)) & 15];
    }
  }
  std::string_view view() const { return {bytes_.data(), kKeyBytes}; }

 private:
  std::array<char, kKeyBytes> bytes_;
};

// Makes values: the last 16 bytes of the key, 112 bytes out of a pool of random ones, then the same 128 bytes
// again (so LZ4 and Snappy both get about 2:1, as db_bench's values do). Copyable; one per thread.
class Values {
 public:
  Values();
  // Valid until the next call.
  std::string_view of(const Key& key) {
    char* out = value_.data();
    std::memcpy(out, key.view().data() + kPrefixBytes, 16);
    uint64_t at;
    std::memcpy(&at, out, 8);
    at = (at * 0x9e3779b97f4a7c15u) >> (64 - kPoolBits);
    std::memcpy(out + 16, pool_ + at, 112);
    std::memcpy(out + 128, out, 128);
    return {out, kValueBytes};
  }

 private:
  static constexpr int kPoolBits = 20;
  const char* pool_;
  std::array<char, kValueBytes> value_;
};

// Whether `value` is what Values gives for `key`, by its length, its first 16 bytes and one at its end:
// enough to see a wrong or half-read value, and it makes every store bring the bytes into the cache.
inline bool value_matches(std::string_view key, std::string_view value) {
  return value.size() == kValueBytes && std::memcmp(value.data(), key.data() + kPrefixBytes, 16) == 0 &&
         value[kValueBytes - 1] == value[kValueBytes / 2 - 1];
}

// Takes the entries of one scan and checks them.
class ScanCheck {
 public:
  void entry(std::string_view key, std::string_view value) {
    good_ &= key.size() == kKeyBytes && value_matches(key, value);
    if (count_ == 0) {
      std::memcpy(first_.data(), key.data(), kKeyBytes);
    }
    std::memcpy(last_.data(), key.data(), kKeyBytes);
    ++count_;
  }
  // Ends the process unless exactly `count` good entries came, from key `first` to key `last`.
  void expect(uint64_t count, const Key& first, const Key& last) const {
    require(good_ && count_ == count && std::string_view(first_.data(), kKeyBytes) == first.view() &&
                std::string_view(last_.data(), kKeyBytes) == last.view(),
            "a scan gave wrong entries");
  }
  // The same without looking at where it ended.
  void expect_from(uint64_t count, const Key& first) const {
    require(good_ && count_ == count && std::string_view(first_.data(), kKeyBytes) == first.view(),
            "a scan gave wrong entries");
  }

 private:
  bool good_ = true;
  uint64_t count_ = 0;
  std::array<char, kKeyBytes> first_;
  std::array<char, kKeyBytes> last_;
};

// mix(0) .. mix(count - 1) in ascending order: the keys of a store that holds those ids, in key order.
std::vector<uint64_t> sorted_mixes(uint64_t count);

}  // namespace tidemark::bench
