// Walks a sorted run of segments as one, opening each only when it is reached.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/format/entry_iterator.h"
#include "engine/mvcc/version.h"
#include "engine/segment/segment_reader.h"

namespace tidemark {

class RunIterator final : public EntryIterator {
 public:
  // REQUIRES: all segments are of one kind.
  RunIterator(SortedRun segments, const SegmentReadOptions& options)
      : segments_(std::move(segments)), options_(options) {
    one_version_per_key_ = segments_.empty() || segments_.front()->meta().kind == SegmentKind::kLive;
  }

  bool seek(std::string_view key, Versionstamp stamp) override;
  bool seek_before(std::string_view key) override;
  bool next() override;
  bool prev() override;
  void note_skipped(uint64_t n) const override {
    if (index_ < segments_.size()) segments_[index_]->note_skipped(n);
  }

 private:
  bool open(size_t index);
  bool show(bool moved);

  const SortedRun segments_;
  const SegmentReadOptions options_;
  size_t index_ = SIZE_MAX;
  std::optional<SegmentIterator> it_;
};

}  // namespace tidemark
