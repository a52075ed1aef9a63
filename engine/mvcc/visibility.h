// The rule of what a read sees.
#pragma once

#include "engine/base/versionstamp.h"

namespace tidemark {

// A version written at `stamp`, of which nothing newer is known than that something had superseded it at or
// before `superseded`, may be what a read at `at` sees; of all that may, the newest is. (`superseded` is an
// upper bound: versions in between stand in history themselves, with exact or smaller bounds, until nobody
// can read them.)
inline bool visible(Versionstamp stamp, Versionstamp superseded, Versionstamp at) {
  return stamp <= at && at < superseded;
}

// A version that no read at or above the horizon can see. REQUIRES: superseded is a true upper bound.
inline bool droppable(Versionstamp superseded, Versionstamp horizon) {
  return superseded <= horizon;
}

}  // namespace tidemark
