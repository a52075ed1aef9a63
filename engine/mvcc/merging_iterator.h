// Merges sources into one, forwards, every entry of every source: what flushes and compactions read.
#pragma once

#include <memory>
#include <vector>

#include "engine/format/entry_iterator.h"

namespace tidemark {

class MergingIterator final : public EntryIterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<EntryIterator>> sources)
      : sources_(std::move(sources)) {}

  bool seek(std::string_view key, Versionstamp stamp) override;
  bool next() override;
  // REQUIRES: never called; a merge goes forwards only.
  bool seek_before(std::string_view key) override;
  bool prev() override;

 private:
  bool show();
  void sift_down(size_t i);

  std::vector<std::unique_ptr<EntryIterator>> sources_;
  std::vector<EntryIterator*> heap_;  // the first entry in order on top
};

}  // namespace tidemark
