// A store that tries again what was unavailable.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/log.h"
#include "engine/io/clock.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

struct RetryOptions {
  int tries_max = 6;  // 1: none is repeated
  // Pauses double from the first to the longest; each is cut by a random part, up to half of it, so that many
  // who failed together do not come back together.
  int64_t pause_first_ms = 250;
  int64_t pause_max_ms = 10'000;
  uint64_t seed = 0;  // of those random parts
};

// What `inner` calls kUnavailable is tried again, up to `tries_max` times in all. cancel() ends a pause soon.
//
// Whether a put that was unavailable has happened is not known. If a later try of it finds that its condition
// does not hold, the object is fetched and compared: with the same bytes the put is a success. So who uses a
// condition to find out which of several was first must write bytes that nobody else writes. A kConflict
// after such a try does not say that these bytes never stood there.
//
// `log`, if any, is told of each failure that is tried again. `clock` must outlive it.
std::unique_ptr<ObjectStore> make_retrying_object_store(std::unique_ptr<ObjectStore> inner, Clock& clock,
                                                        const RetryOptions& options = {}, LogSink log = {});

}  // namespace tidemark::backup
