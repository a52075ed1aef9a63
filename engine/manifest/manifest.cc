#include "engine/manifest/manifest.h"

#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/mutant.h"
#include "engine/format/file_names.h"
#include "engine/format/log_record.h"
#include "engine/log/log_file_reader.h"

// A manifest is a log of edits that begins with a whole state. CURRENT, replaced by rename, says which file
// counts: so the newest file being damaged is never mistaken for it not having been finished.

namespace tidemark {
namespace {

constexpr std::string_view kCurrentMagic = "TIDECUR\n";
constexpr uint32_t kCurrentFormatVersion = 1;
constexpr size_t kCurrentBytes = 48;
// Sums of sizes stay far from the end of what a number holds.
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 48;
// Room for edits behind the snapshot, reserved so that a full disk is met when a file is begun, not in its
// middle. A manifest is rolled when that is used up; it grows with the snapshot, so that rolling stays rare.
constexpr uint64_t kEditBytes = uint64_t{64} << 10;

std::string encode_current(const std::string& database_id, uint64_t manifest_number) {
  std::string out(kCurrentMagic);
  put_le32(out, kCurrentFormatVersion);
  put_le32(out, 0);
  out += database_id;
  put_le64(out, manifest_number);
  put_le64(out, xxh3(out));
  TM_CHECK(out.size() == kCurrentBytes);
  return out;
}

std::unexpected<Error> broken_rule(const std::string& what) {
  return fail(ErrorCode::kCorruption, "the manifest breaks a rule: " + what);
}

}  // namespace

Result<CurrentFile> decode_current(std::string_view bytes) {
  if (bytes.size() < 16 || !bytes.starts_with(kCurrentMagic))
    return fail(ErrorCode::kCorruption, "not a tidemark database");
  if (const uint32_t version = load_le32(bytes.data() + 8); version > kCurrentFormatVersion)
    return fail(ErrorCode::kNewerFormat, "database format version " + std::to_string(version) +
                                             " is newer than this program's " +
                                             std::to_string(kCurrentFormatVersion));
  if (bytes.size() != kCurrentBytes || load_le64(bytes.data() + 40) != xxh3(bytes.substr(0, 40)))
    return fail(ErrorCode::kCorruption, "the file does not match its checksum");
  return CurrentFile{std::string(bytes.substr(16, 16)), load_le64(bytes.data() + 32)};
}

Status ManifestState::apply(const ManifestEdit& edit) {
  TM_ASSIGN(*this, with(edit));
  return {};
}

Result<ManifestState> ManifestState::with(const ManifestEdit& edit) const {
  ManifestState next = edit.snapshot ? ManifestState() : *this;
  TM_TRY(next.add_up(edit));
  if (!edit.added_segments.empty()) TM_TRY(next.check_runs());
  return next;
}

Status ManifestState::add_up(const ManifestEdit& edit) {
  if (edit.snapshot) *this = ManifestState();
  if (edit.flushed_stamp && *edit.flushed_stamp < flushed_stamp)
    return broken_rule("the flushed versionstamp goes back");
  if ((edit.oldest_wal && *edit.oldest_wal < oldest_wal) ||
      (edit.newest_wal && *edit.newest_wal < newest_wal))
    return broken_rule("a WAL number goes back");
  if (edit.epoch) epoch = *edit.epoch;
  if (epoch < 1 || epoch > 127) return broken_rule("there is no such epoch");
  if (edit.next_file_number) next_file_number = std::max(next_file_number, *edit.next_file_number);
  if (edit.oldest_wal) oldest_wal = *edit.oldest_wal;
  if (edit.newest_wal) newest_wal = *edit.newest_wal;
  if (edit.flushed_stamp) flushed_stamp = *edit.flushed_stamp;
  if (edit.flushed_timestamp_ms) flushed_timestamp_ms = *edit.flushed_timestamp_ms;
  if (edit.horizon) horizon = std::max(horizon, *edit.horizon);
  if (edit.retention_clock_ms) retention_clock_ms = std::max(retention_clock_ms, *edit.retention_clock_ms);

  for (uint64_t number : edit.removed_segments)
    if (segments.erase(number) == 0)
      return broken_rule("segment " + std::to_string(number) + " is removed without being there");
  for (const PlacedSegment& added : edit.added_segments) {
    if (added.meta.kind == SegmentKind::kLive && !added.ceiling && added.place >= kLevels)
      return broken_rule("a level does not exist");
    if (added.meta.file_bytes > kMaxFileBytes)
      return broken_rule("segment " + std::to_string(added.meta.number) + " is larger than any file");
    if (!segments.emplace(added.meta.number, added).second)
      return broken_rule("segment " + std::to_string(added.meta.number) + " is added twice");
  }
  for (uint64_t number : edit.removed_changes)
    if (changes.erase(number) == 0)
      return broken_rule("change file " + std::to_string(number) + " is removed without being there");
  for (const ChangeFileMeta& added : edit.added_changes)
    if (!changes.emplace(added.number, added).second)
      return broken_rule("change file " + std::to_string(added.number) + " is added twice");
  return {};
}

Status ManifestState::check_runs() const {
  std::vector<const PlacedSegment*> sorted;
  for (const auto& [number, segment] : segments)
    if (segment.meta.kind == SegmentKind::kHistory || segment.place > 0) sorted.push_back(&segment);
  std::sort(sorted.begin(), sorted.end(), [](const PlacedSegment* a, const PlacedSegment* b) {
    if (a->ceiling != b->ceiling) return a->ceiling < b->ceiling;
    if (a->meta.kind != b->meta.kind) return a->meta.kind < b->meta.kind;
    return a->place != b->place ? a->place < b->place : a->meta.smallest_key < b->meta.smallest_key;
  });
  for (size_t i = 1; i < sorted.size(); ++i) {
    const PlacedSegment &a = *sorted[i - 1], &b = *sorted[i];
    if (a.ceiling == b.ceiling && a.meta.kind == b.meta.kind && a.place == b.place &&
        a.meta.largest_key >= b.meta.smallest_key)
      return broken_rule(
          "segments " + std::to_string(a.meta.number) + " and " + std::to_string(b.meta.number) + " of " +
          (a.meta.kind == SegmentKind::kLive ? "level " : "run ") + std::to_string(a.place) + " overlap");
  }
  return {};
}

ManifestEdit ManifestState::as_snapshot() const {
  ManifestEdit edit;
  edit.snapshot = true;
  edit.epoch = epoch;
  edit.next_file_number = next_file_number;
  edit.oldest_wal = oldest_wal;
  edit.newest_wal = newest_wal;
  edit.flushed_stamp = flushed_stamp;
  edit.flushed_timestamp_ms = flushed_timestamp_ms;
  edit.horizon = horizon;
  edit.retention_clock_ms = retention_clock_ms;
  for (const auto& [number, segment] : segments) edit.added_segments.push_back(segment);
  for (const auto& [number, meta] : changes) edit.added_changes.push_back(meta);
  return edit;
}

Result<std::unique_ptr<Manifest>> Manifest::create(FileSystem& fs, const std::string& dir,
                                                   const std::string& database_id,
                                                   const ManifestEdit& contents) {
  std::unique_ptr<Manifest> manifest(new Manifest(fs, dir));
  manifest->database_id_ = database_id;
  TM_TRY(manifest->state_.apply(contents));
  TM_TRY(manifest->roll());
  return manifest;
}

Result<std::unique_ptr<Manifest>> Manifest::open(FileSystem& fs, const std::string& dir) {
  std::unique_ptr<Manifest> manifest(new Manifest(fs, dir));
  const std::string path = file_path(dir, FileType::kCurrent, 0);
  TM_ASSIGN(const std::string current, read_file(fs, path, 4096));
  auto decoded = decode_current(current);
  if (!decoded) return fail_within(path + " at offset 0", decoded.error());
  manifest->database_id_ = std::move(decoded->database_id);
  manifest->number_ = decoded->manifest_number;

  const std::string log_path = file_path(dir, FileType::kManifest, manifest->number_);
  auto opened =
      LogFileReader::open(fs, log_path, LogKind::kManifest, manifest->database_id_, manifest->number_);
  if (!opened) {
    const bool missing = opened.error().code == ErrorCode::kNotFound;
    return fail(missing ? ErrorCode::kCorruption : opened.error().code,
                missing ? log_path + ", which CURRENT names, is missing" : opened.error().message);
  }
  LogFileReader& log = *opened;
  bool any = false;
  while (true) {
    const uint64_t offset = log.offset();
    TM_ASSIGN(const auto record, log.next(std::nullopt));
    if (!record) break;
    const auto context = log_path + " at offset " + std::to_string(offset);
    auto edit = decode_manifest_edit(record->payload);
    if (!edit) return fail_within(context, edit.error());
    if (!any && !edit->snapshot)
      return fail(ErrorCode::kCorruption, context + ": the first record of a manifest is no snapshot");
    if (auto added = manifest->state_.add_up(*edit); !added) return fail_within(context, added.error());
    any = true;
  }
  // The first record was durable before CURRENT named the file.
  if (!any)
    return fail(ErrorCode::kCorruption, log_path + " at offset " + std::to_string(kLogHeaderBytes) +
                                            ": no intact record, though the first was durable");
  if (auto checked = manifest->state_.check_runs(); !checked) return fail_within(log_path, checked.error());
  manifest->skip_file_numbers(manifest->number_ + 1);
  return manifest;
}

bool Manifest::is_current_file(FileSystem& fs, const std::string& dir) {
  const auto bytes = read_file(fs, file_path(dir, FileType::kCurrent, 0), 4096);
  return bytes && bytes->starts_with(kCurrentMagic);
}

Status Manifest::roll(const std::vector<ManifestEdit>& edits) {
  for (const ManifestEdit& edit : edits) TM_TRY(state_.apply(edit));
  const uint64_t number = new_file_number();
  const uint64_t old_number = number_;
  TM_ASSIGN(auto file, fs_.open(file_path(dir_, FileType::kManifest, number), OpenMode::kCreate));
  const LogHeader header{LogKind::kManifest, database_id_, number, old_number, 0};
  std::string bytes = encode_log_header(header);
  std::string record(kRecordHeaderBytes, '\0');
  record += encode_manifest_edit(state_.as_snapshot());
  finish_record(record, log_salt(LogKind::kManifest, database_id_, number), kLogHeaderBytes, 0);
  bytes += record;
  const uint64_t allocated = 2 * bytes.size() + kEditBytes;
  // Until CURRENT names it the new file is nothing: its failures leave the old one in force.
  TM_TRY(file->allocate(0, allocated));
  TM_TRY(file->write_at(0, bytes));
  TM_TRY(file->sync_data());
  TM_TRY(fs_.sync_dir(dir_));
  if (Status named = write_file_atomically(fs_, file_path(dir_, FileType::kCurrent, 0),
                                           encode_current(database_id_, number));
      !named) {
    broken_ |= named.error().code != ErrorCode::kNoSpace;
    return named;
  }
  allocated_ = allocated;
  file_ = std::move(file);
  number_ = number;
  end_ = bytes.size();
  // Of no use any more; recovery removes it if this does not.
  if (old_number != 0) (void)fs_.remove(file_path(dir_, FileType::kManifest, old_number)).has_value();
  return {};
}

Status Manifest::append(const ManifestEdit& edit) {
  std::string record(kRecordHeaderBytes, '\0');
  record += encode_manifest_edit(edit);
  finish_record(record, log_salt(LogKind::kManifest, database_id_, number_), end_, end_);
  if (end_ + record.size() > allocated_) {
    TM_TRY(file_->allocate(allocated_, end_ + record.size() - allocated_));
    allocated_ = end_ + record.size();
  }
  // A record that was not written whole is no record; the next one takes its place.
  TM_TRY(file_->write_at(end_, record));
  if (Status synced = TM_MUTANT("engine.skip-manifest-sync") ? Status() : file_->sync_data(); !synced) {
    broken_ = true;
    return synced;
  }
  end_ += record.size();
  return {};
}

Status Manifest::close() {
  if (broken_ || file_ == nullptr) return {};
  TM_TRY(append({}));
  (void)file_->truncate(end_).has_value();  // gives back what was reserved; best effort
  return {};
}

Status Manifest::apply(const ManifestEdit& edit) {
  if (broken_)
    return fail(ErrorCode::kReadOnly,
                "an earlier write to the manifest in " + dir_ + " failed; reopen the database");
  ManifestEdit complete = edit;
  complete.next_file_number = state_.next_file_number;
  TM_ASSIGN(ManifestState next, state_.with(complete));
  // The first edit that may not fit starts a new file, which begins with the state before it.
  if (end_ + record_bytes(encode_manifest_edit(complete).size()) > allocated_) TM_TRY(roll());
  complete.next_file_number = state_.next_file_number;
  TM_TRY(append(complete));
  next.next_file_number = state_.next_file_number;
  state_ = std::move(next);
  return {};
}

}  // namespace tidemark
