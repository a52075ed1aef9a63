#include "engine/mvcc/run_iterator.h"

#include <algorithm>

namespace tidemark {

bool RunIterator::open(size_t index) {
  if (index == index_) return true;
  index_ = SIZE_MAX;
  auto reader = segments_[index]->reader(options_.memory_only);
  if (!reader) return error(std::move(reader).error());
  it_.emplace(std::move(*reader), options_);
  index_ = index;
  return true;
}

bool RunIterator::show(bool moved) {
  if (!moved) {
    if (!it_->status()) return error(it_->status().error());
    return end();
  }
  key_ = it_->key();
  value_ = it_->value();
  stamp_ = it_->stamp();
  superseded_ = it_->superseded();
  tombstone_ = it_->tombstone();
  return valid_ = true;
}

bool RunIterator::seek(std::string_view key, Versionstamp stamp) {
  for (size_t i = overlapping(segments_, key, {}).begin; i < segments_.size(); ++i) {
    if (!open(i)) return false;
    if (it_->seek(key, stamp) || !it_->status()) return show(it_->valid());
    // All versions asked for lie behind: the next segment begins with a later key.
  }
  return end();
}

bool RunIterator::seek_before(std::string_view key) {
  size_t i = key.empty() ? segments_.size() : overlapping(segments_, {}, key).end;
  while (i-- > 0) {
    if (!open(i)) return false;
    if (it_->seek_before(key) || !it_->status()) return show(it_->valid());
  }
  return end();
}

bool RunIterator::next() {
  if (it_->next() || !it_->status()) return show(it_->valid());
  if (index_ + 1 == segments_.size()) return end();
  return open(index_ + 1) && show(it_->seek({}, Versionstamp::max()));
}

bool RunIterator::prev() {
  if (it_->prev() || !it_->status()) return show(it_->valid());
  if (index_ == 0) return end();
  return open(index_ - 1) && show(it_->seek_before({}));
}

}  // namespace tidemark
