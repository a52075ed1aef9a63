// A database as lines of text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/database.h"
#include "server/dump/dump_line.h"
#include "server/kv/moment.h"

namespace tidemark::dump {

struct Options {
  std::string name;                  // of the database, for the first line
  std::optional<kv::Moment> moment;  // nothing: head and now
  // Only the key of these bytes and the keys that have parts behind them.
  std::optional<std::string> prefix;
  // All versions from the horizon on.
  bool history = false;
};

// Takes the lines, without their ends, one by one. An error ends the dump, and is its result.
using LineTaker = std::function<Status(std::string_view)>;
// Told now and then how many entries there were.
using ProgressTaker = std::function<Status(uint64_t)>;

struct Summary {
  kv::Moment moment;
  Counts counts;
};

// One consistent version of the user's entries, in the order of their keys, but for what had expired; with
// `history` all that the horizon's version has, and then what the commits up to the moment wrote and deleted,
// one after the other. In front stands the first line, behind the last. Writes go on meanwhile. Blocks on the
// disk. Memory: some multiple of the largest value. kBeyondHorizon if the moment cannot be read; kCorruption,
// kNewerFormat, kIo; what the takers say.
Result<Summary> dump(Database& database, Clock& clock, const Options& options, const LineTaker& line,
                     const ProgressTaker& progress);

}  // namespace tidemark::dump
