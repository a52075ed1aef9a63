#include "engine/mvcc/version.h"

#include <algorithm>

namespace tidemark {
namespace {

// The first segment whose largest key is at or above `key`.
SortedRun::const_iterator first_reaching(const SortedRun& run, std::string_view key) {
  return std::lower_bound(run.begin(), run.end(), key,
                          [](const SegmentRef& s, std::string_view k) { return s->meta().largest_key < k; });
}

}  // namespace

RunRange overlapping(const SortedRun& run, std::string_view start, std::string_view end) {
  const auto from = first_reaching(run, start);
  const auto to = end.empty()
                      ? run.end()
                      : std::lower_bound(from, run.end(), end, [](const SegmentRef& s, std::string_view k) {
                          return s->meta().smallest_key < k;
                        });
  return {static_cast<size_t>(from - run.begin()), static_cast<size_t>(to - run.begin())};
}

const SegmentFile* covering(const SortedRun& run, std::string_view key) {
  const auto it = first_reaching(run, key);
  return it != run.end() && (*it)->meta().smallest_key <= key ? it->get() : nullptr;
}

uint64_t run_bytes(const SortedRun& run) {
  uint64_t sum = 0;
  for (const SegmentRef& segment : run) sum += segment->meta().file_bytes;
  return sum;
}

uint64_t Version::shared_bytes() const {
  uint64_t sum = 0;
  for (const SharedRun& run : shared) sum += run_bytes(run.segments);
  return sum;
}

uint64_t Version::history_bytes() const {
  uint64_t sum = 0;
  for (const HistoryRun& run : history) sum += run_bytes(run.segments);
  return sum;
}

}  // namespace tidemark
