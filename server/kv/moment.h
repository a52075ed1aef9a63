// States of the past: a versionstamp and a time, since keys expire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/database.h"

namespace tidemark::kv {

// A state of a database: all that was committed up to `stamp` (that of a commit, or the horizon), as a reader
// saw it at `now_ms`.
struct Moment {
  Versionstamp stamp;
  int64_t now_ms = 0;

  bool operator==(const Moment&) const = default;
};

// How a state is asked for: by a versionstamp (the last commit at or below it, at that commit's time), or by
// a time in milliseconds since 1970 (the last commit at or before it, by the commits' own times, as it was
// seen at that time).
struct TimeMs {
  int64_t ms = 0;
  bool operator==(const TimeMs&) const = default;
};
using MomentName = std::variant<Versionstamp, TimeMs>;

// The forms that mean the same to everybody, wherever they are: 20 hex digits, or a time as parse_time()
// takes it, which has a zone. Nothing if it is neither.
std::optional<MomentName> parse_moment(std::string_view text);

// kBeyondHorizon, with a sentence that says what range there is, for what can no longer be read and for what
// has not been yet; errors of reading. `wall_ms`: the clock.
Result<Moment> resolve(const Database& database, const MomentName& name, int64_t wall_ms);
// Head, at the time of its commit.
Moment head_moment(const Database& database);

// "2026-11-21T14:31:00.000Z (0106...)", for people.
std::string describe(const Moment& moment);

}  // namespace tidemark::kv
