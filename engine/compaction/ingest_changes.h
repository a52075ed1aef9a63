// The change file of an ingest: its versions in the order of their stamps, though they came in the order of
// keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/format/change_file_meta.h"
#include "engine/format/segment_meta.h"
#include "engine/mvcc/version_set.h"

namespace tidemark {

class IngestChanges {
 public:
  // More than this is not kept in memory; then the segments are read again.
  static constexpr size_t kMemoryBytes = size_t{256} << 20;

  explicit IngestChanges(size_t memory_bytes = kMemoryBytes) : memory_bytes_(memory_bytes) {}

  void add(std::string_view key, Versionstamp stamp, bool tombstone);
  // All that was added to `behind`, whose keys lie behind those here.
  void append(const IngestChanges& behind);
  // Writes the file, whose bytes are durable afterwards: every stamp a commit, and `last` one too, all with
  // the timestamp of that. `segments`: all that was added, finished.
  Result<ChangeFileMeta> write(VersionSet& versions, uint64_t number,
                               const std::vector<SegmentMeta>& segments, const CommitPoint& last);

 private:
  struct Entry {
    Versionstamp stamp;
    uint64_t offset;  // of the key
    uint32_t size;
    bool tombstone;
  };
  // Entries in memory; those beyond `limit` are of a later round.
  struct Round {
    std::vector<Entry> entries;
    std::string keys;
    Versionstamp limit = Versionstamp::max();

    size_t bytes() const { return keys.size() + entries.size() * sizeof(Entry); }
    void add(std::string_view key, Versionstamp stamp, bool tombstone);
    void sort();
    // Keeps about the older half, whole stamps.
    void halve();
  };
  static Result<Round> read_round(VersionSet& versions, const std::vector<SegmentMeta>& segments,
                                  Versionstamp above, size_t memory_bytes);

  size_t memory_bytes_;
  Round all_;
  bool overflown_ = false;
};

}  // namespace tidemark
