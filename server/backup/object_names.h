// What the objects of a backup are called. The names are Deno Deploy's and denokv's, in both versions of
// their format (docs/formats/backup.md); they sort in the order of the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/versionstamp.h"

namespace tidemark::backup {

// Folders of a generation, below its prefix, and the object that says that its snapshot is complete.
inline constexpr std::string_view kSnapshotFolder = "snapshots/";
inline constexpr std::string_view kLogFolder = "logs/";
inline constexpr std::string_view kDifferential = "differential";

// A mutation in the log: its commit, and its index there. The last of a commit has kLastIndex.
struct LogPosition {
  static constexpr uint16_t kLastIndex = 0xffff;

  Versionstamp stamp;
  uint16_t index = 0;

  auto operator<=>(const LogPosition&) const = default;
  bool ends_commit() const { return index == kLastIndex; }
  // 12 bytes, as in the log's entries.
  std::string bytes() const;
  // Nothing if it is not 12 bytes.
  static std::optional<LogPosition> from_bytes(std::string_view bytes);
};

struct LogName {
  uint64_t sequence = 0;  // of the object in its generation
  LogPosition first;
  LogPosition last;

  bool operator==(const LogName&) const = default;
};

struct SnapshotName {
  uint64_t sequence = 0;  // of the snapshot
  uint64_t range = 0;     // within the snapshot

  bool operator==(const SnapshotName&) const = default;
};

// In version 1, the one we write. What comes behind the prefix of the generation.
std::string format_name(const LogName& name);
std::string format_name(const SnapshotName& name);

// Where a list must start to give log objects from this number on.
std::string log_start(uint64_t sequence);

// `name`: what comes behind the folder. Nothing if it is no such name.
std::optional<LogName> parse_log_name(std::string_view name);
std::optional<SnapshotName> parse_snapshot_name(std::string_view name);

}  // namespace tidemark::backup
