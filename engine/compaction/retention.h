// How far the horizon may move.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/io/clock.h"
#include "engine/io/sync.h"
#include "engine/mvcc/version.h"
#include "engine/mvcc/version_set.h"
#include "engine/options.h"

namespace tidemark {

// The clock that ages history. It goes on from where it was stored, no faster than the monotonic clock and
// never ahead of the wall clock: a jump of the wall clock cannot age history, and time during which the
// database was closed does not.
class RetentionClock {
 public:
  // `stored_ms`: where it had come to, 0 for a new database.
  RetentionClock(Clock& clock, int64_t stored_ms, LogSink log);
  int64_t now_ms();

 private:
  Clock& clock_;
  const LogSink log_;
  Mutex mutex_;
  int64_t now_ms_ TM_GUARDED_BY(mutex_);
  int64_t monotonic_us_ TM_GUARDED_BY(mutex_);
  int64_t wall_us_ TM_GUARDED_BY(mutex_);
};

// The newest versionstamp that the retention no longer needs anything below of: the last flushed commit at or
// before the moment that it reaches back to. Versionstamp::min() if everything is still needed.
Result<Versionstamp> retention_target(VersionSet& versions, const ManifestState& state,
                                      const Retention& retention, int64_t now_ms);

// How far the horizon must move for history to fit in `max_bytes`; nothing if it fits.
std::optional<Versionstamp> ceiling_target(const Version& version, uint64_t max_bytes);

}  // namespace tidemark
