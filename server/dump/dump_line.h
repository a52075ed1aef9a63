// The lines of a dump (docs/formats/dump.md): JSON objects, one for each entry, between one that says what it
// is and one that says how many there were.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/kv/stored_value.h"
#include "server/kv/value_form.h"

namespace tidemark::dump {

// What this program writes and the newest that it reads.
inline constexpr int64_t kFormat = 1;

struct Header {
  std::string database;  // its name
  Versionstamp versionstamp;
  int64_t time_ms = 0;                // the moment by the clock; entries that had expired then are not there
  std::optional<std::string> prefix;  // of the keys that are there, as bytes; nothing: all
  bool history = false;               // older versions and deletions, too
};

struct Counts {
  uint64_t entries = 0;
  uint64_t deletions = 0;
  bool operator==(const Counts&) const = default;
};

// Each without its line end.
std::string header_line(const Header& header);
std::string end_line(const Counts& counts);
// Appends the line of an entry; `value` null: of a deletion. The key is the client's.
void append_entry_line(std::string& out, std::string_view key, const kv::StoredValue* value,
                       Versionstamp versionstamp);

// What a line says that is to be loaded: one of a dump, or one that somebody wrote with no more than a key, a
// value and perhaps an expiry.
struct Line {
  enum class Kind : uint8_t { kHeader, kEntry, kDeletion, kEnd };
  Kind kind = Kind::kEntry;
  std::string key;           // of an entry or a deletion
  kv::OwnedValue value;      // of an entry
  int64_t expire_at_ms = 0;  // of an entry; 0: never
  Counts counts;             // of the end
  std::string database;      // of the header; empty if it names none
};

// Whether there is nothing on it. Such lines may stand anywhere.
bool is_blank(std::string_view text);
// kInvalidArgument, with a sentence, if it is none of them; kNewerFormat for the header of a later format.
Result<Line> parse_line(std::string_view text);

}  // namespace tidemark::dump
