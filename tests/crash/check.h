// Opens a database on a disk as power loss left it, and compares all of it with what it must be.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/random.h"
#include "engine/database.h"
#include "tests/crash/model.h"
#include "tests/sim/disk.h"

namespace tidemark::crash {

inline constexpr char kDir[] = "/db";

// What a database of these tests is opened with; small enough for everything to happen often.
struct Terms {
  std::string dir = kDir;
  int forks_begun = 0;
  std::string left;  // the database that this one is a fork of, if it may still be there
  DatabaseOptions options;
  // Whose age may move the horizon; the least that ever held. Nothing: history lasts for ever.
  std::optional<int64_t> least_retention_us;
  int64_t wall_us = 0;
  int64_t open_us = 0;  // how long the database was open, over all times
};

struct CheckResult {
  std::string problem;  // empty: all is as it must be
  Versionstamp head;
  Versionstamp horizon;
};

// Of an open database: head, horizon, and states of the past chosen by `random`, in both directions.
std::string compare(Database& database, const Model& model, const Terms& terms, Random& random);

// Of a database that is closed: that its change files have what its manifest says that they have. An error is
// what a reader of them meets.
Result<std::string> check_changes(FileSystem& fs, const std::string& dir, const Model& model);

// Power is lost again `depth` times: during recovery, and right after the first read; what was read must
// still be there then. `at_least`: a head that somebody saw.
CheckResult check(sim::Disk disk, const Model& model, const Terms& terms, uint64_t seed, int depth,
                  Versionstamp at_least = Versionstamp::min());

}  // namespace tidemark::crash
