// What becomes of each version that a flush or a merge meets: it stays live, moves to history, or is dropped.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/compaction/output_files.h"
#include "engine/format/entry_iterator.h"

namespace tidemark {

class VersionSplitter {
 public:
  // `horizon`: nobody reads below it any more, once it is durable. `nothing_beneath(key)`: no older live
  // version of the key exists outside of what is being merged.
  VersionSplitter(OutputFiles& live, OutputFiles& history, Versionstamp horizon,
                  std::function<bool(std::string_view)> nothing_beneath)
      : live_(live), history_(history), horizon_(horizon), nothing_beneath_(std::move(nothing_beneath)) {}

  // Entries in order, each key's newest first. `superseded`: what is known of it beside the entries met.
  Status add(std::string_view key, Versionstamp stamp, bool tombstone, std::string_view value,
             Versionstamp superseded = Versionstamp::max());
  Status add(const EntryIterator& e) {
    return add(e.key(), e.stamp(), e.tombstone(), e.value(), e.superseded());
  }

 private:
  OutputFiles& live_;
  OutputFiles& history_;
  const Versionstamp horizon_;
  const std::function<bool(std::string_view)> nothing_beneath_;
  std::string key_;                    // met last
  std::optional<Versionstamp> newer_;  // the version of it met last; nothing before the first
};

}  // namespace tidemark
