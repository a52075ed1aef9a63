// Sorted sources of versions that go on behind damage, and their merge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/versionstamp.h"

namespace tidemark::verify {

// Walks versions in the order of entries (keys ascending, of one key the newest first). What cannot be read
// is reported and left out. Views stay valid until the next move.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // To the first, then to each next one; false at the end.
  virtual bool next() = 0;

  std::string_view key() const { return key_; }
  Versionstamp stamp() const { return stamp_; }
  // Of a live version: Versionstamp::max().
  Versionstamp superseded() const { return superseded_; }
  bool tombstone() const { return tombstone_; }
  std::string_view value() const { return value_; }
  // Where it stands: the path of its file, and the offset of its block or record there.
  const std::string& file() const { return file_; }
  uint64_t offset() const { return offset_; }
  // A key at or before which the source does not begin: so that it need not be read before it is needed.
  const std::string& smallest_key() const { return smallest_key_; }

 protected:
  std::string_view key_;
  std::string_view value_;
  Versionstamp stamp_;
  Versionstamp superseded_ = Versionstamp::max();
  bool tombstone_ = false;
  std::string file_;
  uint64_t offset_ = 0;
  std::string smallest_key_;
};

// Of a segment that a fork shares: only what counts there. What superseded a version beyond the ceiling did
// so in another line of history.
class SharedSource final : public VersionSource {
 public:
  SharedSource(std::unique_ptr<VersionSource> base, Versionstamp ceiling);
  bool next() override;

 private:
  const std::unique_ptr<VersionSource> base_;
  const Versionstamp ceiling_;
};

// Several sources as one. Of one key and versionstamp, the source added first comes first.
class VersionMerge {
 public:
  // `rank`: how near to the top the source stands, 0 being the newest.
  void add(std::unique_ptr<VersionSource> source, uint64_t rank);
  bool next();
  // REQUIRES: next() returned true.
  const VersionSource& current() const { return *heap_.front().source; }
  uint64_t rank() const { return heap_.front().rank; }

 private:
  struct Item {
    std::unique_ptr<VersionSource> source;
    uint64_t rank = 0;
    size_t number = 0;
    bool started = false;
  };
  static std::string_view key_of(const Item& item) {
    return item.started ? item.source->key() : std::string_view(item.source->smallest_key());
  }
  static bool before(const Item& a, const Item& b);
  void sift_down();

  std::vector<Item> heap_;
  bool prepared_ = false;
  size_t added_ = 0;
};

}  // namespace tidemark::verify
