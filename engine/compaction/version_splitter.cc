#include "engine/compaction/version_splitter.h"

#include "engine/mvcc/visibility.h"

// The newest version of a key that is met stays live. Every older one was superseded by the one met before it, or by
// something between the two that has gone to history already: so that one's stamp is an upper bound, and it moves to
// history under it, unless the horizon has passed the bound.
//
// A tombstone with nothing beneath it hides nothing from head reads and is dropped at once, though older versions of
// its key may stand in history. Those need no tombstone above them: the bound of each is the stamp of a version that
// existed when it was given, so none exceeds the tombstone's. (A superseded tombstone is another matter: bounds of
// what lies beneath may exceed it. It moves to history like any version, with a bound no smaller than theirs.)

namespace tidemark {

Status VersionSplitter::add(const EntryIterator& e) {
  if (!any_ || e.key() != key_) {
    any_ = true;
    key_ = e.key();
    newer_ = e.stamp();
    if (e.tombstone() && nothing_beneath_(e.key())) return {};
    return live_.add(e.key(), e.stamp(), Versionstamp::max(), e.tombstone(), e.value());
  }
  const Versionstamp superseded = std::exchange(newer_, e.stamp());
  if (superseded == e.stamp() || droppable(superseded, horizon_)) return {};
  return history_.add(e.key(), e.stamp(), superseded, e.tombstone(), e.value());
}

}  // namespace tidemark
