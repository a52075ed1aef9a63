#include "engine/compaction/version_splitter.h"

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/mvcc/visibility.h"

// The newest version of a key that is met stays live, unless something is known to have superseded it. Every
// older one was superseded by the one met before it, or by something between the two that has gone to history
// already: so that one's stamp is an upper bound, and it moves to history under it, unless the horizon has
// passed the bound.
//
// A tombstone with nothing beneath it hides nothing from head reads and is dropped at once, though older
// versions of its key may stand in history. Those need no tombstone above them: the bound of each is the
// stamp of a version that existed when it was given, so none exceeds the tombstone's. (A superseded tombstone
// is another matter: bounds of what lies beneath may exceed it. It moves to history like any version, with a
// bound no smaller than theirs.)

namespace tidemark {

Status VersionSplitter::add(std::string_view key, Versionstamp stamp, bool tombstone, std::string_view value,
                            Versionstamp superseded) {
  if (key != key_) {
    key_ = key;
    newer_.reset();
  }
  const std::optional<Versionstamp> newer = std::exchange(newer_, stamp);
  const Versionstamp bound = newer ? std::min(superseded, *newer) : superseded;
  if (!newer && bound == Versionstamp::max()) {
    if (tombstone && (nothing_beneath_(key) || TM_MUTANT("engine.drop-tombstone"))) return {};
    return live_.add(key, stamp, bound, tombstone, value);
  }
  if (bound == stamp || droppable(bound, horizon_)) return {};
  return history_.add(key, stamp, bound, tombstone, value);
}

}  // namespace tidemark
