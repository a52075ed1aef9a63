#include "engine/mvcc/merging_iterator.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/format/block.h"

namespace tidemark {
namespace {

bool after(const EntryIterator* a, const EntryIterator* b) {
  return compare_entries(a->key(), a->stamp(), b->key(), b->stamp()) > 0;
}

}  // namespace

bool MergingIterator::seek(std::string_view key, Versionstamp stamp) {
  heap_.clear();
  for (const auto& source : sources_) {
    if (source->seek(key, stamp)) heap_.push_back(source.get());
    if (!source->status()) return error(source->status().error());
  }
  std::make_heap(heap_.begin(), heap_.end(), after);
  return show();
}

bool MergingIterator::next() {
  EntryIterator* top = heap_.front();
  if (!top->next()) {
    if (!top->status()) return error(top->status().error());
    heap_.front() = heap_.back();
    heap_.pop_back();
  }
  sift_down(0);
  return show();
}

void MergingIterator::sift_down(size_t i) {
  while (true) {
    size_t child = 2 * i + 1;
    if (child >= heap_.size()) return;
    if (child + 1 < heap_.size() && after(heap_[child], heap_[child + 1])) ++child;
    if (!after(heap_[i], heap_[child])) return;
    std::swap(heap_[i], heap_[child]);
    i = child;
  }
}

bool MergingIterator::show() {
  if (heap_.empty()) return end();
  const EntryIterator& top = *heap_.front();
  key_ = top.key();
  value_ = top.value();
  stamp_ = top.stamp();
  superseded_ = top.superseded();
  tombstone_ = top.tombstone();
  return valid_ = true;
}

bool MergingIterator::seek_before(std::string_view) {
  TM_CHECK(false);
}
bool MergingIterator::prev() {
  TM_CHECK(false);
}

}  // namespace tidemark
