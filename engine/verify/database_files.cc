// Damage to CURRENT, or to the manifest that it names, need not be the end: the manifest of the highest
// number is the one that counts, but for a moment while it is being replaced. Where the manifest has lost a
// record, those behind it are applied as far as they can be.
#include "engine/verify/database_files.h"

#include <algorithm>
#include <optional>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/format/segment_layout.h"
#include "engine/verify/log_scan.h"

namespace tidemark::verify {
namespace {

std::optional<CurrentFile> read_current(FileSystem& fs, DatabaseFiles& files, Reporter& reporter) {
  const std::string path = files.path(FileType::kCurrent, 0);
  const auto bytes = read_file(fs, path, 4096);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::kNotFound)
      reporter.report(kCurrentDamaged, path, std::nullopt, "the file is missing");
    else
      reporter.report(kCurrentDamaged, path, std::nullopt, bytes.error());
    return std::nullopt;
  }
  auto current = decode_current(*bytes);
  if (current) return std::move(*current);
  files.newer_format = current.error().code == ErrorCode::kNewerFormat;
  reporter.report(kCurrentDamaged, path, 0, current.error());
  return std::nullopt;
}

// What edits say but for files: none of it ever goes back, so the largest of each is the newest.
struct Scalars {
  ManifestState state;

  void add(const ManifestEdit& edit) {
    const auto raise = [](auto& value, const auto& said) {
      if (said) value = std::max(value, *said);
    };
    raise(state.epoch, edit.epoch);
    raise(state.next_file_number, edit.next_file_number);
    raise(state.oldest_wal, edit.oldest_wal);
    raise(state.newest_wal, edit.newest_wal);
    raise(state.flushed_stamp, edit.flushed_stamp);
    raise(state.flushed_timestamp_ms, edit.flushed_timestamp_ms);
    raise(state.horizon, edit.horizon);
    raise(state.retention_clock_ms, edit.retention_clock_ms);
  }
  void give(ManifestState& to) {
    state.segments = std::move(to.segments);
    state.changes = std::move(to.changes);
    to = std::move(state);
  }
};

// Adds up the records of one manifest. False if nothing came of it.
bool read_manifest(FileSystem& fs, DatabaseFiles& files, uint64_t number, Reporter& reporter) {
  const std::string path = files.path(FileType::kManifest, number);
  auto log = LogScan::read(fs, path, LogKind::kManifest, files.database_id, number);
  if (!log) {
    reporter.report(kManifestDamaged, path, std::nullopt, log.error());
    return false;
  }
  bool whole = true;
  if (!log->header()) {
    reporter.report(kManifestDamaged, path, 0, log->header().error());
    files.newer_format |= log->header().error().code == ErrorCode::kNewerFormat;
    if (files.newer_format) return false;
  }
  ManifestState state;
  Scalars scalars;
  uint64_t records = 0;
  while (const auto piece = log->next(std::nullopt)) {
    if (!piece->record) {
      whole = false;
      reporter.report(kManifestDamaged, path, piece->offset,
                      "no intact record up to offset " + std::to_string(piece->end) +
                          ", though these bytes were durable");
      continue;
    }
    auto edit = decode_manifest_edit(piece->record->payload);
    if (!edit) {
      whole = false;
      reporter.report(kManifestDamaged, path, piece->offset, edit.error());
      files.newer_format |= edit.error().code == ErrorCode::kNewerFormat;
      continue;
    }
    if (records == 0 && !edit->snapshot) {
      // Behind damage that is a consequence, and said already.
      if (whole) reporter.report(kManifestDamaged, path, piece->offset, "its first record is no snapshot");
      whole = false;
    }
    scalars.add(*edit);
    if (const Status added = state.add_up(*edit); !added) {
      if (whole) reporter.report(kManifestRule, path, piece->offset, added.error());
      whole = false;
    }
    ++records;
  }
  if (const Status checked = whole ? state.check_runs() : Status(); !checked) {
    reporter.report(kManifestRule, path, std::nullopt, checked.error());
    whole = false;
  }
  if (records == 0) {
    if (log->header())
      reporter.report(kManifestDamaged, path, kLogHeaderBytes,
                      "no intact record, though the first was durable before CURRENT named the file");
    return false;
  }
  if (!whole) scalars.give(state);
  files.state = std::move(state);
  files.manifest_path = path;
  files.manifest_number = number;
  files.whole = whole;
  if (files.database_id.empty() && log->header()) files.database_id = log->header()->database_id;
  reporter.advance(log->bytes());
  return true;
}

// From any log file whose header is intact.
std::string find_database_id(FileSystem& fs, const DatabaseFiles& files) {
  const auto look = [&](const auto& numbers, FileType type, LogKind kind) -> std::string {
    for (auto it = numbers.rbegin(); it != numbers.rend(); ++it) {
      const auto log = LogScan::read(fs, files.path(type, it->first), kind, {}, it->first);
      if (log && log->header()) return log->header()->database_id;
    }
    return {};
  };
  std::string id = look(files.manifests, FileType::kManifest, LogKind::kManifest);
  if (id.empty()) id = look(files.wals, FileType::kWal, LogKind::kWal);
  return id;
}

Status list(FileSystem& fs, DatabaseFiles& files) {
  TM_ASSIGN(std::vector<std::string> names, fs.list_dir(files.dir));
  std::sort(names.begin(), names.end());
  bool any = false;
  for (const std::string& name : names) {
    const std::string path = files.dir + "/" + name;
    const auto parsed = parse_file_name(name);
    // A name of ours with more zeros than we write is none.
    if (!parsed || (parsed->number != 0 && files.path(parsed->type, parsed->number) != path)) {
      files.foreign.push_back(path);
      continue;
    }
    if (parsed->type == FileType::kLock) continue;
    if (parsed->type == FileType::kTemporary) {
      files.leftovers.push_back(path);
      continue;
    }
    any = true;
    if (parsed->type == FileType::kCurrent) continue;
    uint64_t size = 0;
    if (const auto file = fs.open(path, OpenMode::kRead)) {
      if (const auto bytes = (*file)->size()) size = *bytes;
    }
    auto& of_type = parsed->type == FileType::kWal       ? files.wals
                    : parsed->type == FileType::kSegment ? files.segments
                    : parsed->type == FileType::kChanges ? files.changes
                                                         : files.manifests;
    of_type[parsed->number] = size;
  }
  if (!any) return fail(ErrorCode::kNotFound, "there is no tidemark database in " + files.dir);
  return {};
}

// What a segment says of itself, as far as it can be read; its number and kind in any case.
SegmentMeta describe_segment(FileSystem& fs, const std::string& path, uint64_t number, uint64_t size) {
  SegmentMeta meta;
  meta.number = number;
  meta.file_bytes = size;
  const auto file = fs.open(path, OpenMode::kRead);
  if (!file || size < kSegmentHeaderBytes + kSegmentFooterBytes) return meta;
  const auto read = [&](BlockPlace place) {
    std::string bytes(place.size, '\0');
    const auto count = (*file)->read_at(place.offset, bytes.data(), bytes.size());
    bytes.resize(count ? *count : 0);
    return bytes;
  };
  const auto header = decode_segment_header(read({0, kSegmentHeaderBytes}));
  if (!header) return meta;
  meta.kind = header->kind;
  const auto footer =
      decode_segment_footer(read({size - kSegmentFooterBytes, kSegmentFooterBytes}), header->salt, size);
  if (!footer) return meta;
  const auto properties = unseal_block(read(footer->properties), header->salt, footer->properties.offset);
  if (!properties) return meta;
  ByteReader in(*properties);
  SegmentMeta own = read_segment_meta(in);
  if (!in.ok() || own.kind != meta.kind) return meta;
  own.number = number;
  own.file_bytes = size;
  return own;
}

void guess(FileSystem& fs, DatabaseFiles& files) {
  files.guessed = true;
  files.whole = false;
  ManifestState& state = files.state;
  // Without a manifest the log goes as far as there are files.
  if (files.manifest_number == 0 && !files.wals.empty()) {
    state.oldest_wal = files.wals.begin()->first;
    state.newest_wal = files.wals.rbegin()->first;
  }
  state.segments.clear();
  state.changes.clear();
  for (const auto& [number, size] : files.segments) {
    SegmentMeta meta = describe_segment(fs, files.path(FileType::kSegment, number), number, size);
    const uint64_t place = meta.kind == SegmentKind::kLive ? 0 : number;
    files.state.segments.emplace(number, PlacedSegment{place, std::move(meta)});
  }
  for (const auto& [number, size] : files.changes) {
    ChangeFileMeta meta;
    meta.number = number;
    meta.file_bytes = size;
    files.state.changes.emplace(number, meta);
  }
}

std::string quoted_level(const PlacedSegment& segment) {
  return (segment.meta.kind == SegmentKind::kLive ? "level " : "run ") + std::to_string(segment.place);
}

}  // namespace

uint64_t DatabaseFiles::salt(uint64_t number) const {
  return database_id.empty() ? 0 : xxh3(database_id, number);
}

Result<DatabaseFiles> load_files(FileSystem& fs, const std::string& dir, Reporter& reporter) {
  DatabaseFiles files;
  files.dir = dir;
  files.manifest_path = file_path(dir, FileType::kCurrent, 0);
  TM_TRY(list(fs, files));
  const std::optional<CurrentFile> current = read_current(fs, files, reporter);
  if (files.newer_format) return files;
  bool read = false;
  if (current) {
    files.database_id = current->database_id;
    if (files.manifests.contains(current->manifest_number)) {
      reporter.add_total(files.manifests[current->manifest_number]);
      read = read_manifest(fs, files, current->manifest_number, reporter);
    } else {
      reporter.report(kManifestDamaged, files.path(FileType::kManifest, current->manifest_number),
                      std::nullopt, "the file that CURRENT names is missing");
    }
  }
  // Beside the one that CURRENT names there is seldom another, and then an older one.
  if (files.database_id.empty()) files.database_id = find_database_id(fs, files);
  for (auto it = files.manifests.rbegin(); !read && it != files.manifests.rend(); ++it) {
    if (files.newer_format) break;
    if (current && it->first == current->manifest_number) continue;
    read = read_manifest(fs, files, it->first, reporter);
    // Right if only CURRENT is damaged; what it would have said is not known.
    if (current) files.whole = false;
  }
  if (!files.newer_format && (!read || !files.whole)) guess(fs, files);
  return files;
}

void check_references(const DatabaseFiles& files, Reporter& reporter) {
  const ManifestState& state = files.state;
  const auto missing = [&](FileType type, uint64_t number, const std::string& what) {
    reporter.report(kFileMissing, files.path(type, number), std::nullopt,
                    "the file is missing, though " + files.manifest_path + " names it as " + what);
  };
  for (const auto& [number, segment] : state.segments)
    if (!files.segments.contains(number))
      missing(FileType::kSegment, number, "a segment of " + quoted_level(segment));
  for (const auto& [number, meta] : state.changes)
    if (!files.changes.contains(number)) missing(FileType::kChanges, number, "a change file");

  if (!files.guessed) {
    const auto leftover = [&](const std::string& path, const std::string& why) {
      reporter.report(kLeftover, path, std::nullopt, why);
    };
    for (const auto& [number, size] : files.segments)
      if (!state.segments.contains(number))
        leftover(files.path(FileType::kSegment, number), "the manifest does not name this segment");
    for (const auto& [number, size] : files.changes)
      if (!state.changes.contains(number))
        leftover(files.path(FileType::kChanges, number), "the manifest does not name this change file");
    for (const auto& [number, size] : files.manifests)
      if (number != files.manifest_number)
        leftover(files.path(FileType::kManifest, number), "it is not the manifest that counts");
  }
  for (const std::string& path : files.leftovers)
    reporter.report(kLeftover, path, std::nullopt, "a file that was being written when the database ended");
  for (const std::string& path : files.foreign)
    reporter.report(kForeignFile, path, std::nullopt, "no file of a database has such a name");
}

void check_state(const DatabaseFiles& files, Reporter& reporter) {
  const ManifestState& state = files.state;
  if (!files.whole) return;
  const auto broken = [&](const FindingKind& kind, const std::string& what) {
    reporter.report(kind, files.manifest_path, std::nullopt, what);
  };
  const auto check_number = [&](FileType type, uint64_t number) {
    if (number >= state.next_file_number)
      broken(kManifestRule, "it names " + files.path(type, number) + ", but the next number to be given is " +
                                std::to_string(state.next_file_number));
  };
  if (state.oldest_wal > state.newest_wal)
    broken(kManifestRule, "its oldest WAL file is newer than its newest");
  if (state.newest_wal != 0) check_number(FileType::kWal, state.newest_wal);
  if (state.horizon > state.flushed_stamp)
    broken(kStampRange, "the horizon " + state.horizon.hex() + " lies above what is in segments");
  for (const auto& [number, segment] : state.segments) {
    const SegmentMeta& meta = segment.meta;
    const std::string path = files.path(FileType::kSegment, number);
    check_number(FileType::kSegment, number);
    if (meta.entries == 0 || meta.tombstones > meta.entries || meta.smallest_key.empty() ||
        meta.smallest_key > meta.largest_key || meta.min_stamp > meta.max_stamp ||
        meta.min_superseded > meta.max_superseded)
      broken(kManifestRule, "its description of " + path + " contradicts itself");
    // What a fork shares may go on beyond the ceiling, where it does not count.
    if (segment.ceiling && *segment.ceiling > state.flushed_stamp)
      broken(kStampRange, "the ceiling of " + path + " lies above " + state.flushed_stamp.hex() +
                              ", the newest commit in segments");
    if (meta.min_stamp == Versionstamp::min() ||
        (!segment.ceiling &&
         (meta.max_stamp > state.flushed_stamp || meta.max_superseded > state.flushed_stamp)))
      broken(kStampRange, "the versions of " + path + " reach beyond " + state.flushed_stamp.hex() +
                              ", the newest commit in segments");
  }
  std::vector<const ChangeFileMeta*> changes;
  for (const auto& [number, meta] : state.changes) {
    check_number(FileType::kChanges, number);
    changes.push_back(&meta);
  }
  std::sort(changes.begin(), changes.end(),
            [](const auto* a, const auto* b) { return a->first_stamp < b->first_stamp; });
  for (size_t i = 0; i < changes.size(); ++i) {
    const ChangeFileMeta& meta = *changes[i];
    const std::string path = files.path(FileType::kChanges, meta.number);
    if (meta.commits == 0 || meta.first_stamp > meta.last_stamp ||
        meta.first_timestamp_ms > meta.last_timestamp_ms)
      broken(kManifestRule, "its description of " + path + " contradicts itself");
    if (meta.last_stamp > state.flushed_stamp)
      broken(kStampRange, "the commits of " + path + " reach beyond " + state.flushed_stamp.hex() +
                              ", the newest commit in segments");
    if (i > 0 && (changes[i - 1]->last_stamp >= meta.first_stamp ||
                  changes[i - 1]->last_timestamp_ms > meta.first_timestamp_ms))
      broken(kChangesMismatch, "the commits of " + path + " do not follow those of " +
                                   files.path(FileType::kChanges, changes[i - 1]->number));
  }
}

}  // namespace tidemark::verify
