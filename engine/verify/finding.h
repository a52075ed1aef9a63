// What a check of a store finds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tidemark::verify {

enum class Severity : uint8_t {
  kMinor,  // nothing that counts is lost, and the store serves as it should
  kMajor,  // something is lost, wrong or cannot be read
};

// One sort of finding. `code` is a stable name for programs; `meaning` tells an operator what follows from
// it.
struct FindingKind {
  const char* code;
  Severity severity;
  const char* meaning;
};

struct Finding {
  FindingKind kind;
  std::string file;                // path, as the folder was given; the folder itself if no file is at fault
  std::optional<uint64_t> offset;  // in the file, in bytes
  std::string what;                // one sentence
};

using FindingSink = std::function<void(const Finding&)>;
// Bytes read of all that there are to read. Called about once a megabyte.
using ProgressSink = std::function<void(uint64_t done, uint64_t total)>;

// The sorts that the engine's own files can have. docs/FSCK.md lists them for operators.
inline constexpr FindingKind kUnreadable = {"unreadable", Severity::kMajor,
                                            "The system could not read it, so it was not checked."};
inline constexpr FindingKind kNewerFormat = {
    "newer-format", Severity::kMajor, "Nothing is known to be wrong: check it with the newer version."};
inline constexpr FindingKind kCurrentDamaged = {
    "current-damaged", Severity::kMajor,
    "The database does not open; its newest manifest was looked for instead."};
inline constexpr FindingKind kManifestDamaged = {
    "manifest-damaged", Severity::kMajor, "The database does not open; a repair can save its contents."};
inline constexpr FindingKind kManifestRule = {"manifest-rule", Severity::kMajor,
                                              "What the manifest says cannot be true; reads may go wrong."};
inline constexpr FindingKind kFileMissing = {"file-missing", Severity::kMajor,
                                             "The database does not open, and what stood in it is lost."};
inline constexpr FindingKind kLeftover = {"leftover-file", Severity::kMinor,
                                          "Nothing is lost: the next start removes it."};
inline constexpr FindingKind kForeignFile = {"foreign-file", Severity::kMinor,
                                             "Tidemark did not put it there and does not touch it."};
inline constexpr FindingKind kWalDamaged = {
    "wal-damaged", Severity::kMajor,
    "The database does not open; commits that were acknowledged are lost there."};
inline constexpr FindingKind kWalChain = {"wal-chain", Severity::kMajor,
                                          "The database does not open; commits may be lost."};
inline constexpr FindingKind kWalOrder = {
    "wal-order", Severity::kMajor, "The database does not open; commits before this place may be lost."};
inline constexpr FindingKind kSegmentDamaged = {
    "segment-damaged", Severity::kMajor,
    "Keys in this range cannot be read; a repair saves what is outside of it."};
inline constexpr FindingKind kSegmentMismatch = {"segment-mismatch", Severity::kMajor,
                                                 "Its entries may not be found, or read in place of others."};
inline constexpr FindingKind kFilterWrong = {"filter-wrong", Severity::kMajor,
                                             "A read of this key misses it, or finds an older version."};
inline constexpr FindingKind kLevelOrder = {"level-order", Severity::kMajor,
                                            "A read of this key may give an older version for the newest."};
inline constexpr FindingKind kStampRange = {
    "stamp-range", Severity::kMajor, "The version counts at other moments than those at which it should."};
inline constexpr FindingKind kChangesDamaged = {
    "changes-damaged", Severity::kMajor,
    "Keys and values are not touched; what was committed when cannot be listed in full."};
inline constexpr FindingKind kChangesMismatch = {
    "changes-mismatch", Severity::kMajor,
    "Keys and values are not touched; looking up commits may give wrong ones."};
inline constexpr FindingKind kVersionMissing = {"version-missing", Severity::kMajor,
                                                "This write is lost: reads give an older version, or none."};
inline constexpr FindingKind kVersionUnlisted = {
    "version-unlisted", Severity::kMajor,
    "The value can be read; comparing moments and going back would miss this write."};
inline constexpr FindingKind kVersionBound = {"version-bound", Severity::kMajor,
                                              "The version is not seen at moments at which it was current."};
inline constexpr FindingKind kErasedVisible = {"erased-visible", Severity::kMajor,
                                               "A deleted key can be read again."};

}  // namespace tidemark::verify
