// Lines of a dump, or of plain JSON, into a database.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "server/dump/dump_line.h"
#include "server/kv/store.h"

namespace tidemark::dump {

// What is said of a line that begins a second dump.
inline constexpr char kAnotherDump[] = "another dump begins here: for one of all databases there is --all";

struct LoadedBatch {
  Counts counts;
  uint64_t transactions = 0;
  bool header = false;        // the first line of a dump was among the lines
  std::optional<Counts> end;  // what the last one said, if it was
  Versionstamp versionstamp;  // of the last commit
};

// Writes what the lines say, in their order, by ordinary atomic writes: as few as the limits of the store
// allow. Empty lines are nothing. All lines are looked at before anything is written; kInvalidArgument and
// kNewerFormat name the line, counted from `first_line`, and mean that nothing was. Other errors are those of
// a commit: an earlier part may have been written; to do it again does no harm. The first line of a dump is
// refused but where lines begin (`begins`), and anything behind a last line is. Waits for the disk. REQUIRES:
// not on a thread of the commit lane.
Result<LoadedBatch> load_batch(kv::Store& store, std::span<const std::string> lines, uint64_t first_line,
                               bool begins);

}  // namespace tidemark::dump
