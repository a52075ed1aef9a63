// Moments as people write them on a command line, where "yesterday" and a time without a zone mean something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::tools {

// The same moment in a form that means the same everywhere (kv::parse_moment()):
//
//   20 hex digits                      a versionstamp, as it is
//   2026-11-21T14:31:00Z               a time with a zone, as it is
//   2026-11-21 14:31[:05[.250]]        the machine's own time zone (TZ); a T may stand for the space
//   today 14:31, yesterday 14:31       the same
//   now
//   15m ago, 90s ago, 2h ago, 3d ago, 1w ago
//
// `now_ms`: the clock. kInvalidArgument, with a sentence, for anything else, for days that are in no
// calendar, and for local times that do not exist or exist twice, where clocks are put forward or back.
Result<std::string> everywhere_moment(std::string_view text, int64_t now_ms);

}  // namespace tidemark::tools
