#include "engine/memtable/memtable_loader.h"

#include <algorithm>
#include <utility>

#include "engine/base/coding.h"

namespace tidemark {
namespace {

// The eight bytes of `key` from `skip` on, as a number that sorts as they do; zeros stand for what is
// missing.
uint64_t sort_prefix(std::string_view key, size_t skip) {
  uint64_t prefix = 0;
  for (size_t i = skip; i < skip + 8; ++i)
    prefix = prefix << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
  return prefix;
}

}  // namespace

void Memtable::Loader::end_commit() {
  if (!std::exchange(open_, false)) return;
  memtable_.end_commit(memtable_.writes_.size() + pending_.size());
}

Status Memtable::Loader::add_pending() {
  if (pending_.empty()) return {};
  // Keys have much in common at their beginning. What follows decides most comparisons without a look at the
  // keys, which lie all over the memory.
  const std::string_view first = pending_.front().key;
  size_t common = first.size();
  for (const Pending& write : pending_) {
    const auto [end, other] = std::ranges::mismatch(first.substr(0, common), write.key);
    common = static_cast<size_t>(end - first.begin());
  }
  struct Place {
    uint64_t prefix;
    uint32_t index;
  };
  std::vector<Place> places;
  places.reserve(pending_.size());
  for (uint32_t i = 0; i < pending_.size(); ++i) places.push_back({sort_prefix(pending_[i].key, common), i});
  std::ranges::sort(places, [&](const Place& a, const Place& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    const Pending& left = pending_[a.index];
    const Pending& right = pending_[b.index];
    return compare_entries(left.key, left.stamp, right.key, right.stamp) < 0;
  });

  const size_t base = memtable_.writes_.grow(pending_.size());
  std::array<Node*, kMaxHeight>& previous = memtable_.last_previous_;
  previous.fill(memtable_.head_);
  for (const Place& place : places) {
    const Pending& write = pending_[place.index];
    const int height = memtable_.choose_height();
    memtable_.find_further(write.key, write.stamp, previous.data());
    // What was put in just now stands before its equal, what an earlier flush did behind it.
    for (const Node* neighbour : {previous[0], previous[0]->next(0)})
      if (neighbour != nullptr && neighbour != memtable_.head_ && neighbour->stamp() == write.stamp &&
          neighbour->key() == write.key)
        return fail(ErrorCode::kCorruption, "commit " + write.stamp.hex() + " writes a key twice");
    memtable_.writes_[base + place.index] =
        memtable_.insert(write.stamp, write.kind, write.key, write.value, height, previous.data());
  }
  memtable_.entries_.store(memtable_.writes_.size(), std::memory_order_relaxed);
  pending_.clear();
  return {};
}

}  // namespace tidemark
