#include "engine/compaction/ingest_changes.h"

#include <algorithm>
#include <optional>

#include "engine/base/hash.h"
#include "engine/changes/change_file.h"
#include "engine/mvcc/run_iterator.h"

// What does not fit in memory is read from the segments in rounds, each of the oldest stamps that fit.

namespace tidemark {
void IngestChanges::Round::add(std::string_view key, Versionstamp stamp, bool tombstone) {
  entries.push_back({stamp, keys.size(), static_cast<uint32_t>(key.size()), tombstone});
  keys += key;
}

void IngestChanges::Round::sort() {
  const auto before = [](const Entry& a, const Entry& b) {
    return a.stamp != b.stamp ? a.stamp < b.stamp : a.offset < b.offset;
  };
  if (!std::ranges::is_sorted(entries, before)) std::ranges::sort(entries, before);
}

void IngestChanges::Round::halve() {
  sort();
  const Versionstamp middle = entries[entries.size() / 2].stamp;
  const auto after = [&](Versionstamp stamp) {
    return std::ranges::upper_bound(entries, stamp, {}, &Entry::stamp);
  };
  auto end = std::ranges::lower_bound(entries, middle, {}, &Entry::stamp);
  if (end == entries.begin()) end = after(middle);
  limit = std::prev(end)->stamp;
  Round kept;
  kept.limit = limit;
  for (auto it = entries.begin(); it != end; ++it)
    kept.add(std::string_view(keys).substr(it->offset, it->size), it->stamp, it->tombstone);
  *this = std::move(kept);
}

void IngestChanges::add(std::string_view key, Versionstamp stamp, bool tombstone) {
  if (overflown_) return;
  all_.add(key, stamp, tombstone);
  if (all_.bytes() <= memory_bytes_) return;
  overflown_ = true;
  all_ = Round();
}

void IngestChanges::append(const IngestChanges& behind) {
  for (const Entry& entry : behind.all_.entries)
    add(std::string_view(behind.all_.keys).substr(entry.offset, entry.size), entry.stamp, entry.tombstone);
  overflown_ = overflown_ || behind.overflown_;
  if (overflown_) all_ = Round();
}

Result<IngestChanges::Round> IngestChanges::read_round(VersionSet& versions,
                                                       const std::vector<SegmentMeta>& segments,
                                                       Versionstamp above, size_t memory_bytes) {
  Round round;
  for (const SegmentMeta& meta : segments) {
    RunIterator it({versions.open_segment(meta)}, SegmentReadOptions::once_through());
    for (it.seek({}, Versionstamp::max()); it.valid(); it.next()) {
      if (it.stamp() <= above || it.stamp() > round.limit) continue;
      round.add(it.key(), it.stamp(), it.tombstone());
      if (round.bytes() > memory_bytes) round.halve();
    }
    TM_TRY(it.status());
  }
  return round;
}

Result<ChangeFileMeta> IngestChanges::write(VersionSet& versions, uint64_t number,
                                            const std::vector<SegmentMeta>& segments,
                                            const CommitPoint& last) {
  TM_ASSIGN(auto writer, ChangeFileWriter::create(versions.fs(), versions.path(FileType::kChanges, number),
                                                  number, xxh3(versions.database_id(), number)));
  Round round = std::move(all_);
  Versionstamp written;
  while (true) {
    if (overflown_) {
      TM_ASSIGN(round, read_round(versions, segments, written, memory_bytes_));
    }
    round.sort();
    for (auto it = round.entries.begin(); it != round.entries.end();) {
      written = it->stamp;
      const auto end = std::ranges::find_if(it, round.entries.end(),
                                            [&](const Entry& entry) { return entry.stamp != written; });
      TM_TRY(writer->begin_commit(written, last.timestamp_ms, static_cast<uint32_t>(end - it)));
      for (; it != end; ++it)
        writer->add_write(it->tombstone ? WriteKind::kTombstone : WriteKind::kPut,
                          std::string_view(round.keys).substr(it->offset, it->size));
    }
    if (round.limit == Versionstamp::max()) break;
  }
  if (written < last.stamp) TM_TRY(writer->begin_commit(last.stamp, last.timestamp_ms, 0));
  return writer->finish();
}

}  // namespace tidemark
