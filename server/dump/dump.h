// A database as lines of text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/database.h"
#include "server/dump/dump_line.h"

namespace tidemark::dump {

// What is visible, and when: entries that have expired at `time_ms` are absent.
struct Moment {
  Versionstamp versionstamp;
  int64_t time_ms = 0;
};

struct Options {
  std::string name;              // of the database, for the first line
  std::optional<Moment> moment;  // nothing: head and now
  // Only the key of these bytes and the keys that have parts behind them.
  std::optional<std::string> prefix;
};

// Takes the lines, without their ends, one by one. An error ends the dump, and is its result.
using LineTaker = std::function<Status(std::string_view)>;
// Told now and then how many entries there were.
using ProgressTaker = std::function<Status(uint64_t)>;

struct Summary {
  Moment moment;
  Counts counts;
};

// One consistent version of the user's entries, in the order of their keys, with the first and the last line.
// Writes go on meanwhile. Blocks on the disk. Memory: some multiple of the largest value. kBeyondHorizon if
// the moment cannot be read; kCorruption, kNewerFormat, kIo; what the takers say.
Result<Summary> dump(Database& database, Clock& clock, const Options& options, const LineTaker& line,
                     const ProgressTaker& progress);

}  // namespace tidemark::dump
