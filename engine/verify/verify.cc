// 1. CURRENT and the manifest say which files there must be, and what they should hold.
// 2. The log's chain is read; what it holds that is not in segments is kept in memory.
// 3. Change files are read.
// 4. Live segments are read, all at once, merged by key: each is checked on its way, and of each key the
//    newest version must stand nearest to the top. Then history, file by file.
// 5. With `deep`, segments and change files are held against each other.
#include "engine/verify/verify.h"

#include <algorithm>
#include <vector>

#include "engine/verify/change_scan.h"
#include "engine/verify/cross_check.h"
#include "engine/verify/database_files.h"
#include "engine/verify/reporter.h"
#include "engine/verify/segment_scan.h"
#include "engine/verify/wal_contents.h"

namespace tidemark::verify {
namespace {

class Check {
 public:
  Check(FileSystem& fs, const VerifyOptions& options)
      : fs_(fs), options_(options), reporter_(options.findings, options.progress) {}

  Result<VerifySummary> run(const std::string& dir) {
    TM_ASSIGN(files_, load_files(fs_, dir, reporter_));
    if (!files_.newer_format) {
      check_state(files_, reporter_);
      const auto sum = [](const std::map<uint64_t, uint64_t>& sizes) {
        uint64_t bytes = 0;
        for (const auto& [number, size] : sizes) bytes += size;
        return bytes;
      };
      const uint64_t data_bytes = sum(files_.segments) + sum(files_.changes);
      summary_.bytes = data_bytes + sum(files_.wals) + sum(files_.manifests);
      reporter_.add_total(sum(files_.wals) + data_bytes * (options_.deep ? 2 : 1));
      log_ = read_wal(fs_, files_, reporter_);
      check_references(files_, reporter_);
      check_changes();
      check_live();
      check_history();
      if (options_.deep && files_.whole)
        cross_check(fs_, files_, listed_, options_.cross_check_bytes, reporter_);
    }
    reporter_.finish();
    summary_.database_id = files_.database_id;
    summary_.head = log_.head;
    summary_.horizon = files_.state.horizon;
    summary_.segments = files_.state.segments.size();
    summary_.change_files = files_.state.changes.size();
    summary_.wal_commits = log_.commits.size();
    summary_.torn_wal_files = log_.torn_files;
    summary_.findings = reporter_.count();
    return summary_;
  }

 private:
  void check_changes() {
    struct Ignore final : ChangeVisitor {
      void on_commit(Versionstamp, int64_t, uint32_t) override {}
      void on_write(WriteKind, std::string_view) override {}
    } ignore;
    for (const auto& [number, meta] : files_.state.changes) {
      if (!files_.changes.contains(number)) continue;
      const ChangeScanResult result =
          scan_changes(fs_, files_.path(FileType::kChanges, number),
                       files_.guessed ? std::nullopt : std::optional(meta), {}, ignore, reporter_);
      summary_.commits += result.found.commits;
      if (result.whole && result.found.commits > 0)
        listed_.push_back({result.found.first_stamp, result.found.last_stamp});
    }
  }

  std::unique_ptr<SegmentScan> scan_of(uint64_t number, const SegmentMeta& meta) {
    SegmentScanOptions options;
    options.check_filter = options_.deep;
    return std::make_unique<SegmentScan>(fs_, files_.path(FileType::kSegment, number),
                                         files_.guessed ? std::nullopt : std::optional(meta), options,
                                         reporter_);
  }

  void check_live() {
    std::vector<const PlacedSegment*> top;
    VersionMerge merge;
    merge.add(std::make_unique<WalSource>(files_, log_), 0);
    uint64_t top_count = 0;
    for (const auto& [number, segment] : files_.state.segments) {
      if (segment.meta.kind != SegmentKind::kLive || segment.ceiling || !files_.segments.contains(number))
        continue;
      if (segment.place == 0) top.push_back(&segment);
    }
    std::sort(top.begin(), top.end(), [](const PlacedSegment* a, const PlacedSegment* b) {
      if (a->meta.max_stamp != b->meta.max_stamp) return a->meta.max_stamp > b->meta.max_stamp;
      return a->meta.number > b->meta.number;
    });
    for (const PlacedSegment* segment : top)
      merge.add(scan_of(segment->meta.number, segment->meta), ++top_count);
    for (const auto& [number, segment] : files_.state.segments)
      if (segment.meta.kind == SegmentKind::kLive && !segment.ceiling && segment.place > 0 &&
          files_.segments.contains(number))
        merge.add(scan_of(number, segment.meta), top_count + segment.place);

    std::string key;
    uint64_t rank = 0;
    bool any = false;
    while (merge.next()) {
      const VersionSource& v = merge.current();
      const bool newest = !any || v.key() != key;
      if (newest) {
        any = true;
        key = v.key();
      } else if (merge.rank() < rank && !files_.guessed) {
        reporter_.report(
            kLevelOrder, v.file(), v.offset(),
            "an older version of " + shown(key) + ", of " + v.stamp().hex() + ", stands above a newer one");
      }
      rank = merge.rank();
      if (merge.rank() > 0) ++summary_.live_versions;
      give(v, newest);
    }
  }

  // And what is shared with another database, of whatever kind.
  void check_history() {
    for (const auto& [number, segment] : files_.state.segments) {
      if ((segment.meta.kind != SegmentKind::kHistory && !segment.ceiling) ||
          !files_.segments.contains(number))
        continue;
      std::unique_ptr<VersionSource> scan = scan_of(number, segment.meta);
      if (segment.ceiling) scan = std::make_unique<SharedSource>(std::move(scan), *segment.ceiling);
      while (scan->next()) {
        ++summary_.history_versions;
        give(*scan, false);
      }
    }
  }

  void give(const VersionSource& v, bool newest) {
    if (options_.versions)
      options_.versions({v.key(), v.stamp(), v.tombstone(), v.value(), newest, v.file(), v.offset()});
  }

  FileSystem& fs_;
  const VerifyOptions& options_;
  Reporter reporter_;
  DatabaseFiles files_;
  WalContents log_;
  std::vector<ListedRange> listed_;
  VerifySummary summary_;
};

}  // namespace

Result<VerifySummary> verify_database(FileSystem& fs, const std::string& dir, const VerifyOptions& options) {
  return Check(fs, options).run(dir);
}

}  // namespace tidemark::verify
