// How fast history ages.
#pragma once

#include <cstdint>

#include "engine/base/log.h"
#include "engine/io/clock.h"
#include "engine/io/sync.h"

namespace tidemark {

// The clock that ages history. It goes on from where it was stored, no faster than the monotonic clock and
// never ahead of the wall clock: a jump of the wall clock cannot age history, and time during which the
// database was closed does not. A commit's timestamp is never below its reading at the commit: so no version
// is taken for older than it is, even where the wall clock was set back and commits share one timestamp.
//
// Any thread.
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

}  // namespace tidemark
