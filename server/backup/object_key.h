// What the keys of objects may be.
#pragma once

#include <string_view>

#include "engine/base/status.h"

namespace tidemark::backup {

inline constexpr size_t kObjectKeyMax = 1024;  // bytes

// Whether only characters that a key may have are in it: ASCII without control characters.
inline bool has_key_characters(std::string_view text) {
  for (const char c : text)
    if (c < ' ' || c > '~') return false;
  return true;
}

// kInvalidArgument if no object can have this key.
inline Status check_object_key(std::string_view key) {
  if (key.empty() || key.size() > kObjectKeyMax)
    return fail(ErrorCode::kInvalidArgument, "a key of " + std::to_string(key.size()) +
                                                 " bytes; an object's key has 1 to " +
                                                 std::to_string(kObjectKeyMax));
  if (!has_key_characters(key))
    return fail(ErrorCode::kInvalidArgument, "a key with characters that are not ASCII or not visible");
  return {};
}

}  // namespace tidemark::backup
