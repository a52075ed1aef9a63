// Making the past the present again, as one change.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/status.h"
#include "engine/database.h"
#include "server/kv/moment.h"
#include "server/kv/store.h"

namespace tidemark::kv {

struct RewindOptions {
  // Only keys of the user that have these parts in front: the bytes of whole ones.
  std::string prefix = {};
  // Messages of the queue as well, all of them.
  bool queues = false;
  // Nothing is changed; what would be is counted.
  bool dry_run = false;
  // How many keys have been looked at, now and then; an error ends it, with nothing changed. May be empty.
  std::function<Status(uint64_t keys)> progress = {};
};

struct RewindResult {
  // The state before: rewinding to its stamp undoes it.
  Moment before;
  // The state afterwards, the same as before if nothing was to be changed.
  Moment after;
  uint64_t restored = 0;  // keys that have their old value again
  uint64_t removed = 0;   // keys that were not there
  uint64_t messages = 0;  // of the queue, restored or removed
  // Commits that came while it was being prepared, and were rewound with the rest.
  uint64_t commits_meanwhile = 0;

  uint64_t changes() const { return restored + removed + messages; }
};

// Writes for every key that was written since `target` what it held then, unless it holds that now: what a
// reader at `target` saw and what has not expired by now. Readers see all of it or nothing, and so does
// recovery. Nothing is lost: the states in between stay in history. Up to 65,536 writes have one
// versionstamp; more have a run of consecutive ones, of which only the last becomes head.
//
// Writers are held for as long as it takes to write what was committed in the last moment; of few changes
// everything. Errors: kBeyondHorizon; those of reading and of commits.
Result<RewindResult> rewind(Store& store, const Moment& target, const RewindOptions& options);

}  // namespace tidemark::kv
