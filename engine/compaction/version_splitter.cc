#include "engine/compaction/version_splitter.h"

#include "engine/base/mutant.h"
#include "engine/mvcc/visibility.h"

// The newest version of a key that is met stays live. Every older one was superseded by the one met before
// it, or by something between the two that has gone to history already: so that one's stamp is an upper
// bound, and it moves to history under it, unless the horizon has passed the bound.
//
// A tombstone with nothing beneath it hides nothing from head reads and is dropped at once, though older
// versions of its key may stand in history. Those need no tombstone above them: the bound of each is the
// stamp of a version that existed when it was given, so none exceeds the tombstone's. (A superseded tombstone
// is another matter: bounds of what lies beneath may exceed it. It moves to history like any version, with a
// bound no smaller than theirs.)

namespace tidemark {

Status VersionSplitter::add(std::string_view key, Versionstamp stamp, bool tombstone,
                            std::string_view value) {
  if (!any_ || key != key_) {
    any_ = true;
    key_ = key;
    newer_ = stamp;
    if (tombstone && (nothing_beneath_(key) || TM_MUTANT("engine.drop-tombstone"))) return {};
    return live_.add(key, stamp, Versionstamp::max(), tombstone, value);
  }
  const Versionstamp superseded = std::exchange(newer_, stamp);
  if (superseded == stamp || droppable(superseded, horizon_)) return {};
  return history_.add(key, stamp, superseded, tombstone, value);
}

}  // namespace tidemark
