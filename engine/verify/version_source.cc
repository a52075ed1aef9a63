// A heap of the sources. One that was not begun yet stands in it under the smallest key that it can have, and
// is begun when that comes up: so of a level's many files only those around the current key are open.
#include "engine/verify/version_source.h"

#include <algorithm>

namespace tidemark::verify {

SharedSource::SharedSource(std::unique_ptr<VersionSource> base, Versionstamp ceiling)
    : base_(std::move(base)), ceiling_(ceiling) {
  file_ = base_->file();
  smallest_key_ = base_->smallest_key();
}

bool SharedSource::next() {
  do {
    if (!base_->next()) return false;
  } while (base_->stamp() > ceiling_);
  key_ = base_->key();
  value_ = base_->value();
  stamp_ = base_->stamp();
  superseded_ = base_->superseded() > ceiling_ ? Versionstamp::max() : base_->superseded();
  tombstone_ = base_->tombstone();
  offset_ = base_->offset();
  return true;
}

bool VersionMerge::before(const Item& a, const Item& b) {
  if (const int c = key_of(a).compare(key_of(b)); c != 0) return c < 0;
  if (a.started != b.started) return !a.started;  // it may have this key, newer
  if (a.started && a.source->stamp() != b.source->stamp()) return a.source->stamp() > b.source->stamp();
  return a.number < b.number;
}

void VersionMerge::add(std::unique_ptr<VersionSource> source, uint64_t rank) {
  heap_.push_back({std::move(source), rank, added_++, false});
}

void VersionMerge::sift_down() {
  size_t at = 0;
  while (true) {
    size_t least = at;
    for (const size_t child : {2 * at + 1, 2 * at + 2})
      if (child < heap_.size() && before(heap_[child], heap_[least])) least = child;
    if (least == at) return;
    std::swap(heap_[at], heap_[least]);
    at = least;
  }
}

bool VersionMerge::next() {
  if (!prepared_) {
    prepared_ = true;
    // A sorted array is a heap.
    std::sort(heap_.begin(), heap_.end(), before);
  } else {
    heap_.front().started = false;  // until it has moved
    heap_.front().started = heap_.front().source->next();
    if (!heap_.front().started) {
      std::swap(heap_.front(), heap_.back());
      heap_.pop_back();
    }
    if (!heap_.empty()) sift_down();
  }
  while (!heap_.empty() && !heap_.front().started) {
    heap_.front().started = heap_.front().source->next();
    if (!heap_.front().started) {
      std::swap(heap_.front(), heap_.back());
      heap_.pop_back();
    }
    if (!heap_.empty()) sift_down();
  }
  return !heap_.empty();
}

}  // namespace tidemark::verify
