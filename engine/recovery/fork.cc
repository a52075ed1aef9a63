#include "engine/recovery/fork.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "engine/base/hash.h"
#include "engine/changes/change_file.h"
#include "engine/io/entropy.h"

// Segments are linked under their own numbers. Each gets a ceiling in the new manifest, below which it is
// read; so nothing in it has to be changed. The one change file that reaches beyond the moment is written
// anew up to there.

namespace tidemark {
namespace {

// A state of the manifest and the readers' state that belongs to it, which keeps the files.
struct Files {
  ManifestState manifest;
  std::shared_ptr<const ReadState> state;
};

Files take_files(const VersionSet& source) {
  while (true) {
    Files files{source.manifest_state(), source.acquire()};
    const Version& version = *files.state->version;
    std::set<uint64_t> held;
    const auto add = [&](const SortedRun& run) {
      for (const SegmentRef& segment : run) held.insert(segment->meta().number);
    };
    for (const SortedRun& level : version.live) add(level);
    for (const HistoryRun& run : version.history) add(run.segments);
    for (const SharedRun& run : version.shared) add(run.segments);
    if (std::ranges::equal(files.manifest.segments, held, {}, [](const auto& entry) { return entry.first; }))
      return files;
  }
}

// Copies the commits of a change file up to a moment.
class CopyUpTo final : public ChangeVisitor {
 public:
  CopyUpTo(ChangeFileWriter& to, Versionstamp last) : to_(to), last_(last) {}
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    inside_ = stamp <= last_ && status.has_value();
    if (inside_) status = to_.begin_commit(stamp, timestamp_ms, writes);
  }
  void on_write(WriteKind kind, std::string_view key) override {
    if (inside_ && status) to_.add_write(kind, key);
  }
  Status status;

 private:
  ChangeFileWriter& to_;
  const Versionstamp last_;
  bool inside_ = false;
};

Result<ChangeFileMeta> copy_changes(FileSystem& fs, const std::string& from, const std::string& to,
                                    const ChangeFileMeta& meta, uint64_t salt, Versionstamp last) {
  TM_ASSIGN(const auto reader, ChangeFileReader::open(fs, from, meta));
  TM_ASSIGN(auto writer, ChangeFileWriter::create(fs, to, meta.number, salt));
  CopyUpTo copy(*writer, last);
  TM_TRY(reader->visit(copy));
  TM_TRY(copy.status);
  return writer->finish();
}

}  // namespace

Result<uint8_t> next_epoch(Versionstamp head) {
  constexpr uint64_t kLastEpoch = 127;
  const uint64_t epoch = (head.number >> 56) + 1;
  if (epoch > kLastEpoch)
    return fail(ErrorCode::kInvalidArgument, "no epoch is left for another line of this history");
  return static_cast<uint8_t>(epoch);
}

Status fork_files(VersionSet& source, const CommitPoint& at, int64_t retention_clock_ms,
                  const std::string& path) {
  FileSystem& fs = source.fs();
  const Files files = take_files(source);
  TM_ASSIGN(const uint8_t epoch, next_epoch(at.stamp));
  const std::string id = random_bytes(16);
  TM_TRY(fs.create_dir(path));

  ManifestEdit contents;
  contents.epoch = epoch;
  contents.next_file_number = files.manifest.next_file_number;
  contents.flushed_stamp = at.stamp;
  contents.flushed_timestamp_ms = at.timestamp_ms;
  contents.horizon = std::min(files.manifest.horizon, at.stamp);
  contents.retention_clock_ms = retention_clock_ms;

  // The runs that segments stand in: each level deeper than 0, each run of history, else each alone.
  std::map<std::tuple<bool, SegmentKind, uint64_t, Versionstamp>, uint64_t> runs;
  for (const auto& [number, placed] : files.manifest.segments) {
    if (placed.meta.min_stamp > at.stamp) continue;
    const Versionstamp ceiling = std::min(placed.ceiling.value_or(Versionstamp::max()), at.stamp);
    uint64_t run = number;
    const bool alone = !placed.ceiling && placed.meta.kind == SegmentKind::kLive && placed.place == 0;
    if (!alone)
      run = runs.try_emplace({placed.ceiling.has_value(), placed.meta.kind, placed.place,
                              placed.ceiling.value_or(Versionstamp::max())},
                             number)
                .first->second;
    contents.added_segments.push_back({run, placed.meta, ceiling});
    TM_TRY(fs.link(source.path(FileType::kSegment, number), file_path(path, FileType::kSegment, number)));
  }
  for (const auto& [number, meta] : files.manifest.changes) {
    if (meta.first_stamp > at.stamp) continue;
    const std::string from = source.path(FileType::kChanges, number);
    const std::string to = file_path(path, FileType::kChanges, number);
    if (meta.last_stamp <= at.stamp) {
      const Status linked = fs.link(from, to);
      // Let go meanwhile: the horizon has passed it.
      if (!linked && !source.manifest_state().changes.contains(number)) continue;
      TM_TRY(linked);
      contents.added_changes.push_back(meta);
    } else {
      TM_ASSIGN(const ChangeFileMeta copied, copy_changes(fs, from, to, meta, xxh3(id, number), at.stamp));
      contents.added_changes.push_back(copied);
    }
  }
  TM_TRY(fs.sync_dir(path));
  TM_TRY(fs.sync_dir(parent_dir(path)));
  const auto manifest = Manifest::create(fs, path, id, contents);
  if (!manifest) return std::unexpected(manifest.error());
  return {};
}

}  // namespace tidemark
