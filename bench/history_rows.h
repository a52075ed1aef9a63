// The three questions of bench_history. Each makes its stores below `dir`, removes them again, and gives its
// samples to the report; ratios there are against the baseline named in each comment.
#pragma once

#include <cstdint>
#include <string>

#include "bench/report.h"

namespace tidemark::bench {

struct VersionsSettings {
  std::string dir;
  uint64_t entries = 100'000;
  int versions = 100;
  int turns = 9;
  int64_t turn_ms = 300;
};
// Do head reads slow down as history grows? Two stores with the same head, one whose keys were each written
// once (the baseline) and one whose keys were overwritten until they had `versions` versions, all of which
// are kept. Both have several levels. Rows *_hot: everything fits in the cache; *_quarter: the cache is a
// quarter of the baseline's size on disk.
void run_versions(const VersionsSettings& settings, Report& report);

struct QueueSettings {
  std::string dir;
  uint64_t messages = 200'000;
  uint64_t backlog = 1000;
  uint64_t memtable_bytes = uint64_t{4} << 20;
};
// Does the front of a queue stay near? Each step appends a message, reads the first one and deletes it; the
// queue is `backlog` messages long throughout. Reported for each tenth of the run; the first tenth is the
// baseline.
void run_queue(const QueueSettings& settings, Report& report);

struct DeletedSettings {
  std::string dir;
  uint64_t entries = 200'000;
  uint64_t memtable_bytes = uint64_t{4} << 20;
};
// Do lists wade through what was deleted? 99 of 100 entries are deleted one by one while lists of 100 entries
// go on; then lists of 100 and of all that is left, at once and settled. The baseline is a store that never
// held but the entries that are left.
void run_deleted(const DeletedSettings& settings, Report& report);

// Rows of all three, and the baselines.
void declare_history_rows(Report& report);

}  // namespace tidemark::bench
