// The object beside the generations of a database's backup that says which there are, and who writes:
// `<prefix>backup.json`. docs/formats/backup.md describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"

namespace tidemark::backup {

inline constexpr std::string_view kIndexName = "backup.json";
inline constexpr uint64_t kMaxIndexBytes = uint64_t{4} << 20;

// A run of a server that wrote a generation's log: where it found its end, and went on. What an earlier one
// wrote from there on, not knowing of it, counts for nothing.
struct WriterSession {
  std::string id;
  Versionstamp after;

  bool operator==(const WriterSession&) const = default;
};

// A snapshot, and the log from there on.
struct Generation {
  std::string id;          // of its folder
  int64_t began_ms = 0;    // since 1970
  Versionstamp snapshot;   // the version that the snapshot is of
  bool continues = false;  // the log goes on from that of the one before, with nothing missing between
  bool complete = false;   // the snapshot is all there
  uint64_t ranges = 0;     // objects of the snapshot, when it is complete
  int64_t ended_ms = 0;    // when the next one began; 0: it is the newest
  bool pruned = false;     // its objects are being removed: not to be read
  std::string reason;      // why it was begun, for people
  std::vector<WriterSession> sessions = {};  // in their order

  bool operator==(const Generation&) const = default;
};

// Who may write: one run of one server.
struct Writer {
  std::string store;    // the id of its store
  std::string session;  // of this run
  int64_t since_ms = 0;

  bool operator==(const Writer&) const = default;
};

struct Index {
  std::string database;  // its id
  std::string name;      // what it was called when this was written, for people
  Writer writer;
  std::vector<Generation> generations;  // the oldest first

  // The newest that can be read, or null.
  const Generation* newest_complete() const;
  // Null if there is none.
  const Generation* find(std::string_view id) const;
  const Generation* next_of(std::string_view id) const;
  // Whether the log of the newest generation can be read on from a complete snapshot, its own or that of one
  // which it continues.
  bool reaches_the_end() const;

  bool operator==(const Index&) const = default;
};

// For another generation: "0007-1c9e03b2", in the order of their making, and never used twice.
std::string next_generation_id(const Index& index);

std::string encode(const Index& index);
// kCorruption, kNewerFormat; the message goes on from the object's name.
Result<Index> decode_index(std::string_view bytes);

}  // namespace tidemark::backup
