// All sources (the log, live segments, history) are merged by key, newest version first, and written again as
// one sorted run of live segments and one run of history, as a full merge would:
//
// - the newest version of a key that is live stays so; older ones move to history, superseded by the one
//   before;
// - versions in history keep the moment until which they are seen;
// - a lost write takes part as a deletion that leaves nothing of itself.
//
// Change files are written again with the commits of the log behind them. In them a lost write becomes a
// deletion, which is what reads find.
#include "engine/verify/salvage.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/base/hash.h"
#include "engine/changes/change_file.h"
#include "engine/io/entropy.h"
#include "engine/manifest/manifest.h"
#include "engine/segment/segment_writer.h"
#include "engine/verify/change_scan.h"
#include "engine/verify/cross_check.h"
#include "engine/verify/database_files.h"
#include "engine/verify/reporter.h"
#include "engine/verify/wal_contents.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kSegmentBytes = uint64_t{64} << 20;
constexpr uint64_t kDeepestLevel = kLevels - 1;
constexpr uint64_t kMaxCommitsPerFile = uint64_t{1} << 20;

// What a SegmentScan knows and is told after it has read a file, which by then is gone from the merge.
class RecordedScan final : public VersionSource {
 public:
  RecordedScan(std::unique_ptr<SegmentScan> scan, std::vector<SalvageSummary::Range>& lost)
      : scan_(std::move(scan)), lost_(lost) {
    file_ = scan_->file();
    smallest_key_ = scan_->smallest_key();
  }
  bool next() override {
    if (!scan_->next()) {
      for (const LostRange& range : scan_->lost()) lost_.push_back({file_, range});
      return false;
    }
    key_ = scan_->key();
    value_ = scan_->value();
    stamp_ = scan_->stamp();
    superseded_ = scan_->superseded();
    tombstone_ = scan_->tombstone();
    offset_ = scan_->offset();
    return true;
  }

 private:
  const std::unique_ptr<SegmentScan> scan_;
  std::vector<SalvageSummary::Range>& lost_;
};

// The segments of the new database.
class Output {
 public:
  Output(FileSystem& fs, const std::string& dir, Manifest& manifest, SegmentKind kind)
      : fs_(fs), dir_(dir), manifest_(manifest), kind_(kind) {}

  Status add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
             std::string_view value) {
    if (writer_ != nullptr && writer_->bytes() >= kSegmentBytes && key != last_key_) TM_TRY(finish());
    if (writer_ == nullptr) {
      const uint64_t number = manifest_.new_file_number();
      TM_ASSIGN(writer_, SegmentWriter::create(fs_, file_path(dir_, FileType::kSegment, number), number,
                                               kind_, xxh3(manifest_.database_id(), number), {}));
    }
    last_key_ = key;
    ++versions_;
    return writer_->add(key, stamp, superseded, tombstone, value);
  }
  Status finish() {
    if (writer_ == nullptr) return {};
    TM_ASSIGN(SegmentMeta meta, writer_->finish());
    writer_.reset();
    files_.push_back(std::move(meta));
    return {};
  }
  uint64_t versions() const { return versions_; }
  const std::vector<SegmentMeta>& files() const { return files_; }

 private:
  FileSystem& fs_;
  const std::string& dir_;
  Manifest& manifest_;
  const SegmentKind kind_;
  std::unique_ptr<SegmentWriter> writer_;
  std::vector<SegmentMeta> files_;
  std::string last_key_;
  uint64_t versions_ = 0;
};

struct Write {
  WriteKind kind;
  std::string key;
};

// The change files of the new database. Commits that do not follow the one before are left out.
class ChangeOutput {
 public:
  ChangeOutput(FileSystem& fs, const std::string& dir, Manifest& manifest)
      : fs_(fs), dir_(dir), manifest_(manifest) {}

  Status add(Versionstamp stamp, int64_t timestamp_ms, const std::vector<Write>& writes) {
    if (any_ && stamp <= last_stamp_) return {};
    timestamp_ms = any_ ? std::max(timestamp_ms, last_timestamp_ms_) : timestamp_ms;
    any_ = true;
    last_stamp_ = stamp;
    last_timestamp_ms_ = timestamp_ms;
    if (writer_ == nullptr) {
      const uint64_t number = manifest_.new_file_number();
      TM_ASSIGN(writer_, ChangeFileWriter::create(fs_, file_path(dir_, FileType::kChanges, number), number,
                                                  xxh3(manifest_.database_id(), number)));
    }
    TM_TRY(writer_->begin_commit(stamp, timestamp_ms, static_cast<uint32_t>(writes.size())));
    for (const Write& write : writes) writer_->add_write(write.kind, write.key);
    ++commits_;
    return ++commits_here_ < kMaxCommitsPerFile ? Status() : finish();
  }
  Status finish() {
    if (writer_ == nullptr) return {};
    TM_ASSIGN(const ChangeFileMeta meta, writer_->finish());
    writer_.reset();
    commits_here_ = 0;
    files_.push_back(meta);
    return {};
  }
  uint64_t commits() const { return commits_; }
  Versionstamp last_stamp() const { return last_stamp_; }
  int64_t last_timestamp_ms() const { return last_timestamp_ms_; }
  const std::vector<ChangeFileMeta>& files() const { return files_; }

 private:
  FileSystem& fs_;
  const std::string& dir_;
  Manifest& manifest_;
  std::unique_ptr<ChangeFileWriter> writer_;
  std::vector<ChangeFileMeta> files_;
  bool any_ = false;
  Versionstamp last_stamp_;
  int64_t last_timestamp_ms_ = 0;
  uint64_t commits_ = 0;
  uint64_t commits_here_ = 0;
};

class Salvage {
 public:
  Salvage(FileSystem& fs, const std::string& to_dir, const SalvageOptions& options)
      : fs_(fs), to_dir_(to_dir), options_(options), reporter_(options.findings, options.progress) {}

  Result<SalvageSummary> run(const std::string& from_dir) {
    TM_ASSIGN(files_, load_files(fs_, from_dir, reporter_));
    if (files_.newer_format)
      return fail(ErrorCode::kNewerFormat, from_dir + " was written by a newer version of this program");
    uint64_t bytes = 0;
    for (const auto* sizes : {&files_.segments, &files_.changes})
      for (const auto& [number, size] : *sizes) bytes += size;
    reporter_.add_total(2 * bytes);
    log_ = read_wal(fs_, files_, reporter_);
    check_references(files_, reporter_);
    summary_.log_whole = log_.whole;
    // Not above what there is, whatever the manifest says.
    files_.state.horizon = std::min(files_.state.horizon, log_.head);
    if (files_.guessed) guess_horizon();
    summary_.horizon = files_.state.horizon;
    lost_ = find_lost_writes(fs_, files_, log_, options_.cross_check_bytes, reporter_);

    const uint64_t epoch = std::clamp<uint64_t>(std::max(files_.state.epoch, log_.head.number >> 56), 1, 127);
    ManifestEdit beginning;
    beginning.epoch = epoch;
    beginning.retention_clock_ms = files_.state.retention_clock_ms;
    TM_ASSIGN(manifest_, Manifest::create(fs_, to_dir_, random_bytes(16), beginning));
    ChangeOutput changes(fs_, to_dir_, *manifest_);
    TM_TRY(write_changes(changes));
    Output live(fs_, to_dir_, *manifest_, SegmentKind::kLive);
    Output history(fs_, to_dir_, *manifest_, SegmentKind::kHistory);
    TM_TRY(write_versions(live, history));
    TM_TRY(fs_.sync_dir(to_dir_));
    TM_TRY(publish(live, history, changes));
    TM_TRY(manifest_->close());
    summary_.live_versions = live.versions();
    summary_.history_versions = history.versions();
    summary_.commits = changes.commits();
    reporter_.finish();
    summary_.findings = reporter_.count();
    return std::move(summary_);
  }

 private:
  bool lost(uint64_t hash, Versionstamp stamp) const {
    const auto it = lost_.find(hash);
    return it != lost_.end() && std::ranges::find(it->second, stamp) != it->second.end();
  }

  // A deletion in place of what is lost.
  void amend(Versionstamp stamp, std::vector<Write>& writes) {
    if (lost_.empty()) return;
    for (Write& write : writes) {
      if (!lost(key_hash(write.key), stamp)) continue;
      write.kind = WriteKind::kTombstone;
      if (summary_.lost_writes++ < kMaxListedLosses) summary_.lost_listed.push_back({write.key, stamp});
    }
  }

  Status write_changes(ChangeOutput& out) {
    struct Visitor final : ChangeVisitor {
      Visitor(Salvage& salvage, ChangeOutput& out) : salvage(salvage), out(out) {}
      void on_commit(Versionstamp next, int64_t next_ms, uint32_t) override {
        flush();
        open = true;
        stamp = next;
        timestamp_ms = next_ms;
      }
      void on_write(WriteKind kind, std::string_view key) override {
        writes.push_back({kind, std::string(key)});
      }
      void flush() {
        if (open && status) {
          salvage.amend(stamp, writes);
          status = out.add(stamp, timestamp_ms, writes);
        }
        open = false;
        writes.clear();
      }
      Salvage& salvage;
      ChangeOutput& out;
      bool open = false;
      Versionstamp stamp;
      int64_t timestamp_ms = 0;
      std::vector<Write> writes;
      Status status;
    } visitor(*this, out);
    std::vector<ChangeFileMeta> in_order;
    for (const auto& [number, meta] : files_.state.changes) in_order.push_back(meta);
    std::sort(in_order.begin(), in_order.end(), [](const ChangeFileMeta& a, const ChangeFileMeta& b) {
      return std::pair(a.first_stamp, a.number) < std::pair(b.first_stamp, b.number);
    });
    for (const ChangeFileMeta& meta : in_order) {
      const std::string path = files_.path(FileType::kChanges, meta.number);
      // A file's commits are all that there were between its first and its last: so not across a gap.
      const auto gap = [&] {
        visitor.flush();
        if (visitor.status) visitor.status = out.finish();
      };
      const auto result = scan_changes(fs_, path, files_.guessed ? std::nullopt : std::optional(meta),
                                       {true, files_.salt(meta.number), gap, nullptr}, visitor, reporter_);
      visitor.flush();
      TM_TRY(visitor.status);
      TM_TRY(out.finish());  // as the old files were, so that they can go one by one
      summary_.changes_whole &= result.whole;
    }
    std::vector<Write> writes;
    for (size_t i = 0; i < log_.commits.size(); ++i) {
      const WalCommit& commit = log_.commits[i];
      writes.clear();
      for (size_t v = commit.first_version; v < log_.end_of(i); ++v)
        writes.push_back(
            {log_.versions[v].tombstone ? WriteKind::kTombstone : WriteKind::kPut, log_.versions[v].key});
      TM_TRY(out.add(commit.stamp, commit.timestamp_ms, writes));
    }
    TM_TRY(out.finish());
    last_listed_ms_ = out.last_timestamp_ms();
    head_ = std::max(log_.head, out.last_stamp());
    return {};
  }

  // What the manifest's records say that are left, or without any: the oldest change file goes when the
  // horizon has passed it, so when that was last done the horizon lay in it or before.
  void guess_horizon() {
    summary_.horizon_guessed = true;
    if (files_.manifest_number != 0) return;
    struct Last final : ChangeVisitor {
      void on_commit(Versionstamp s, int64_t, uint32_t) override { stamp = s; }
      void on_write(WriteKind, std::string_view) override {}
      Versionstamp stamp;
    } last;
    Reporter silent(&reporter_);
    for (const auto& [number, meta] : files_.state.changes) {
      scan_changes(fs_, files_.path(FileType::kChanges, number), std::nullopt,
                   {true, files_.salt(number), nullptr, nullptr}, last, silent);
      if (last.stamp != Versionstamp::min()) break;
    }
    files_.state.horizon = last.stamp;
  }

  Status write_versions(Output& live, Output& history) {
    VersionMerge merge;
    merge.add(std::make_unique<WalSource>(files_, log_), 0);
    for (const auto& [number, segment] : files_.state.segments) {
      if (!files_.segments.contains(number)) {
        summary_.lost_ranges.push_back({files_.path(FileType::kSegment, number),
                                        {segment.meta.smallest_key, segment.meta.largest_key, 0}});
        continue;
      }
      SegmentScanOptions options;
      options.search_blocks = true;
      options.salt = files_.salt(number);
      auto scan = std::make_unique<SegmentScan>(fs_, files_.path(FileType::kSegment, number),
                                                files_.guessed ? std::nullopt : std::optional(segment.meta),
                                                options, reporter_);
      std::unique_ptr<VersionSource> source =
          std::make_unique<RecordedScan>(std::move(scan), summary_.lost_ranges);
      if (segment.ceiling) source = std::make_unique<SharedSource>(std::move(source), *segment.ceiling);
      merge.add(std::move(source), 1);
    }
    bool more = merge.next();
    while (more) TM_TRY(write_key(merge, more, live, history));
    TM_TRY(live.finish());
    return history.finish();
  }

  // All versions of the key that the merge has come to.
  Status write_key(VersionMerge& merge, bool& more, Output& live, Output& history) {
    const std::string key(merge.current().key());
    std::vector<Versionstamp> losses;  // newest first, those not yet passed
    if (const auto it = lost_.find(key_hash(key)); it != lost_.end()) losses = it->second;
    std::ranges::sort(losses, std::ranges::greater());
    size_t loss = 0;
    std::optional<Versionstamp> newer;
    while (more && merge.current().key() == key) {
      const VersionSource& v = merge.current();
      const Versionstamp stamp = v.stamp();
      // The same version, found twice: an older file may have it as one that was not superseded yet.
      Versionstamp superseded = v.superseded();
      std::string value(v.value());
      const bool tombstone = v.tombstone();
      while ((more = merge.next()) && merge.current().key() == key && merge.current().stamp() == stamp)
        superseded = std::min(superseded, merge.current().superseded());
      if (key.empty() || key.size() > UINT16_MAX || stamp == Versionstamp::min()) continue;
      head_ = std::max(head_, stamp);
      std::optional<Versionstamp> lost_above;
      while (loss < losses.size() && losses[loss] >= stamp) {
        if (losses[loss] > stamp) lost_above = losses[loss];
        ++loss;
      }
      if (lost_above && (!newer || *lost_above < *newer)) {
        superseded = std::min(superseded, *lost_above);
        newer = lost_above;
      }
      if (newer) superseded = std::min(superseded, *newer);
      const bool newest = !newer;
      newer = stamp;
      if (superseded == Versionstamp::max()) {
        // A deletion with nothing beneath it hides nothing: all that follows moves to history.
        if (newest && !tombstone) TM_TRY(live.add(key, stamp, Versionstamp::max(), false, value));
        continue;
      }
      if (superseded <= stamp || superseded <= summary_.horizon) continue;
      TM_TRY(history.add(key, stamp, superseded, tombstone, value));
    }
    return {};
  }

  Status publish(const Output& live, const Output& history, const ChangeOutput& changes) {
    ManifestEdit edit;
    for (const SegmentMeta& meta : live.files()) edit.added_segments.push_back({kDeepestLevel, meta});
    for (const SegmentMeta& meta : history.files()) {
      edit.added_segments.push_back({history.files().front().number, meta});
      head_ = std::max(head_, meta.max_superseded);
    }
    edit.added_changes = changes.files();
    edit.flushed_stamp = head_;
    edit.flushed_timestamp_ms = std::max(log_.head_timestamp_ms, last_listed_ms_);
    edit.horizon = summary_.horizon;
    edit.retention_clock_ms = files_.guessed ? *edit.flushed_timestamp_ms : files_.state.retention_clock_ms;
    summary_.head = head_;
    return manifest_->apply(edit);
  }

  FileSystem& fs_;
  const std::string& to_dir_;
  const SalvageOptions& options_;
  Reporter reporter_;
  DatabaseFiles files_;
  WalContents log_;
  LostWrites lost_;
  std::unique_ptr<Manifest> manifest_;
  SalvageSummary summary_;
  Versionstamp head_;
  int64_t last_listed_ms_ = 0;
};

}  // namespace

Result<SalvageSummary> salvage_database(FileSystem& fs, const std::string& from_dir,
                                        const std::string& to_dir, const SalvageOptions& options) {
  return Salvage(fs, to_dir, options).run(from_dir);
}

}  // namespace tidemark::verify
