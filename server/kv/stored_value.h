// What an entry of the user's part of the keyspace holds: a short header, then the value's bytes. The layout
// is in docs/formats/keyspace.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::kv {

// As on the wire (ValueEncoding), and stored; do not change.
enum class Encoding : uint8_t {
  kV8 = 1,    // V8's ValueSerializer; opaque here
  kLe64 = 2,  // exactly 8 bytes: an unsigned integer, little-endian
  kBytes = 3,
};

inline constexpr size_t kLe64Bytes = 8;

struct StoredValue {
  Encoding encoding = Encoding::kV8;
  int64_t expire_at_ms = 0;  // milliseconds since 1970 from which on the entry is absent; 0: never
  std::string_view data;

  bool expired_at(int64_t now_ms) const { return expire_at_ms != 0 && expire_at_ms <= now_ms; }
};

// What append_stored_value() puts before the data, at most.
inline constexpr size_t kMaxStoredHeaderBytes = 9;

// Appends the stored form. REQUIRES: expire_at_ms >= 0.
void append_stored_value(std::string& out, const StoredValue& value);

// `data` of the result points into `bytes`. kCorruption if the bytes break the format's rules, kNewerFormat
// if they use what only a newer version knows.
Result<StoredValue> parse_stored_value(std::string_view bytes);

}  // namespace tidemark::kv
