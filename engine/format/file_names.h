// The names of a database's files. Numbers are never used twice within one folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

enum class FileType : uint8_t { kWal, kSegment, kChanges, kManifest, kCurrent, kLock, kTemporary };

struct FileName {
  FileType type;
  uint64_t number = 0;
};

inline constexpr std::string_view kCurrentFileName = "CURRENT";
inline constexpr std::string_view kLockFileName = "LOCK";

// "<dir>/000012.wal"; .seg and .chg likewise; "<dir>/MANIFEST-000012".
std::string file_path(const std::string& dir, FileType type, uint64_t number);
// Nothing if no file of ours has such a name.
std::optional<FileName> parse_file_name(std::string_view name);

}  // namespace tidemark
