// A place in the history of a database.
#pragma once

#include <cstdint>

#include "engine/base/versionstamp.h"

namespace tidemark {

// A commit: its stamp, and its timestamp in milliseconds since 1970. Neither ever falls from one commit to
// the next; Versionstamp::min() at time 0 stands for the beginning, before any commit.
struct CommitPoint {
  Versionstamp stamp;
  int64_t timestamp_ms = 0;

  bool operator==(const CommitPoint&) const = default;
};

}  // namespace tidemark
