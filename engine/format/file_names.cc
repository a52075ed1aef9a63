#include "engine/format/file_names.h"

#include <charconv>

#include "engine/base/check.h"

namespace tidemark {
namespace {

constexpr std::string_view kManifestPrefix = "MANIFEST-";

std::string digits(uint64_t number) {
  std::string out = std::to_string(number);
  if (out.size() < 6) out.insert(0, 6 - out.size(), '0');
  return out;
}

std::optional<uint64_t> parse_digits(std::string_view text) {
  uint64_t number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.size() < 6 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string file_path(const std::string& dir, FileType type, uint64_t number) {
  switch (type) {
    case FileType::kWal:
      return dir + "/" + digits(number) + ".wal";
    case FileType::kSegment:
      return dir + "/" + digits(number) + ".seg";
    case FileType::kChanges:
      return dir + "/" + digits(number) + ".chg";
    case FileType::kManifest:
      return dir + "/" + std::string(kManifestPrefix) + digits(number);
    case FileType::kCurrent:
      return dir + "/" + std::string(kCurrentFileName);
    case FileType::kLock:
      return dir + "/" + std::string(kLockFileName);
    case FileType::kTemporary:
      break;
  }
  TM_CHECK(false);
}

std::optional<FileName> parse_file_name(std::string_view name) {
  if (name == kCurrentFileName) return FileName{FileType::kCurrent};
  if (name == kLockFileName) return FileName{FileType::kLock};
  if (name == std::string(kCurrentFileName) + ".tmp") return FileName{FileType::kTemporary};
  if (name.starts_with(kManifestPrefix)) {
    const auto number = parse_digits(name.substr(kManifestPrefix.size()));
    if (!number) return std::nullopt;
    return FileName{FileType::kManifest, *number};
  }
  if (name.size() <= 4) return std::nullopt;
  const std::string_view ending = name.substr(name.size() - 4);
  const auto number = parse_digits(name.substr(0, name.size() - 4));
  if (!number) return std::nullopt;
  if (ending == ".wal") return FileName{FileType::kWal, *number};
  if (ending == ".seg") return FileName{FileType::kSegment, *number};
  if (ending == ".chg") return FileName{FileType::kChanges, *number};
  return std::nullopt;
}

}  // namespace tidemark
