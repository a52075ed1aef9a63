// The work of the background: one memtable to segments, one plan carried out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "engine/base/status.h"
#include "engine/compaction/picker.h"
#include "engine/memtable/memtable.h"
#include "engine/mvcc/version_set.h"
#include "engine/options.h"

namespace tidemark {

struct JobContext {
  VersionSet& versions;
  const DatabaseOptions& options;
  // Versions superseded at or below may be dropped; becomes durable with the job's result.
  Versionstamp horizon;
  int64_t retention_clock_ms = 0;
  // Set when the database is being closed: a merge gives up at the next entry, with kShutdown.
  const std::atomic<bool>& stopping;
  // Raised by the size of the segments that the job wrote and published.
  std::atomic<uint64_t>& written_bytes;
};

// `oldest_wal`: WAL files below it are not needed once this memtable is in segments.
// Writes the oldest frozen memtable to segments and a change file and takes it out of the state.
// REQUIRES: all in it is durable; no other flush runs.
Status flush_memtable(const JobContext& context, const Memtable& memtable, uint64_t oldest_wal);

// Whether a change file lies wholly below the horizon.
bool changes_below(const ManifestState& state, Versionstamp horizon);

// Carries out a plan that was made from the current version. REQUIRES: no other plan of live segments, or of
// history if this is one, is being carried out.
Status run_plan(const JobContext& context, const CompactionPlan& plan);

}  // namespace tidemark
