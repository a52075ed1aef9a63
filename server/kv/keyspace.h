// How one engine database is divided: the first byte of every engine key says whose it is. Stored; do not
// change. docs/formats/keyspace.md describes what each part holds.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::kv {

inline constexpr char kBookkeepingPrefix = 'b';  // ours: counters and marks of the server
inline constexpr char kExpiryPrefix = 'e';  // expiry index: prefix, time in ms (8, big-endian), client's key
inline constexpr char kQueuePrefix = 'q';   // queue messages: queue_message.h
inline constexpr char kUserPrefix = 'u';    // the user's entries: prefix, then the key as the client sent it

// The longest key a client may name, in bytes: that of a read selector.
inline constexpr size_t kMaxClientKeyBytes = 2049;

// What a key of the expiry index has before the client's key.
inline constexpr size_t kExpiryKeyHeaderBytes = 1 + 8;

// Keys of the engine from `start` on and below `end`; an empty `end` means no upper bound.
struct KeyRange {
  std::string start;
  std::string end;
  bool contains(std::string_view key) const { return key >= start && (end.empty() || key < end); }
};

// All of one part.
inline KeyRange part_range(char prefix) {
  return {std::string(1, prefix), std::string(1, static_cast<char>(prefix + 1))};
}

// Behind the bytes of a key's parts (tuple_key.h) stands the first byte of another part, or this one, which
// says that the last part, a string or bytes, goes on behind a zero.
inline constexpr char kPartGoesOn = '\xff';

// Whether a key, as the client names it, has the parts of `prefix`, the bytes of whole ones, in front.
inline bool has_parts(std::string_view key, std::string_view prefix) {
  return key.starts_with(prefix) &&
         (prefix.empty() || key.size() == prefix.size() || key[prefix.size()] != kPartGoesOn);
}

// The user's keys that have these parts in front; all of them if there are none.
inline KeyRange user_range(std::string_view prefix) {
  KeyRange range = part_range(kUserPrefix);
  if (prefix.empty()) return range;
  range.start += prefix;
  range.end = range.start + kPartGoesOn;
  return range;
}

// Appends a time in milliseconds so that keys sort by it. REQUIRES: not negative.
inline void append_sortable_time(std::string& out, int64_t ms) {
  TM_CHECK(ms >= 0);
  char bytes[8];
  store_be64(bytes, static_cast<uint64_t>(ms));
  out.append(bytes, sizeof bytes);
}

// The first key of the expiry index at or after a time.
inline std::string expiry_key_from(int64_t expire_at_ms) {
  std::string key(1, kExpiryPrefix);
  append_sortable_time(key, expire_at_ms);
  return key;
}

// The engine key of a user key, without an allocation. Not copyable: views into it stay valid as long as it
// lives.
class UserKey {
 public:
  // REQUIRES: key.size() <= kMaxClientKeyBytes.
  explicit UserKey(std::string_view key) : size_(key.size() + 1) {
    TM_CHECK(key.size() <= kMaxClientKeyBytes);
    bytes_[0] = kUserPrefix;
    if (!key.empty()) std::memcpy(bytes_ + 1, key.data(), key.size());
  }
  UserKey(const UserKey&) = delete;
  UserKey& operator=(const UserKey&) = delete;

  std::string_view view() const { return {bytes_, size_}; }

 private:
  size_t size_;
  char bytes_[1 + kMaxClientKeyBytes];
};

}  // namespace tidemark::kv
