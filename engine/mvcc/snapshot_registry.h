// Which moments must stay readable: the horizon, and the snapshots that are pinned.
#pragma once

#include <memory>
#include <set>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/io/sync.h"
#include "engine/snapshot.h"

namespace tidemark {

// Any thread. Shared by the snapshots that it gave out.
class SnapshotRegistry : public std::enable_shared_from_this<SnapshotRegistry> {
 public:
  explicit SnapshotRegistry(Versionstamp horizon) : horizon_(horizon) {}

  // kBeyondHorizon, naming the range, unless horizon <= at <= last. While nothing else can be read, the empty
  // state of the very beginning can: history may have begun above it already.
  Result<std::shared_ptr<Snapshot>> pin(Versionstamp at, Versionstamp last);
  Versionstamp horizon() const;
  // Moves the horizon to `target`, but not beyond the oldest pin, and never back. Gives where it now is:
  // versions superseded at or below that may be dropped once it is durable.
  Versionstamp advance(Versionstamp target);
  // History begins there: what pins hold before saw nothing.
  void begin_at(Versionstamp horizon);

 private:
  class Pin;
  void unpin(Versionstamp at);

  mutable Mutex mutex_;
  Versionstamp horizon_ TM_GUARDED_BY(mutex_);
  std::multiset<Versionstamp> pins_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark
