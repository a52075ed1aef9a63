// How far the horizon may move.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/status.h"
#include "engine/mvcc/version.h"
#include "engine/mvcc/version_set.h"
#include "engine/options.h"

namespace tidemark {

// The newest versionstamp that the retention no longer needs anything below of: the last flushed commit at or
// before the moment that it reaches back to. Versionstamp::min() if everything is still needed.
Result<Versionstamp> retention_target(VersionSet& versions, const ManifestState& state,
                                      const Retention& retention, int64_t now_ms);

// How far the horizon must move for history to fit in `max_bytes`; nothing if it fits.
std::optional<Versionstamp> ceiling_target(const Version& version, uint64_t max_bytes);

}  // namespace tidemark
