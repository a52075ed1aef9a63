#include "engine/verify/file_records.h"

#include "engine/base/hash.h"
#include "engine/format/file_names.h"
#include "engine/manifest/manifest.h"
#include "engine/verify/change_scan.h"
#include "engine/verify/log_scan.h"
#include "engine/verify/reporter.h"
#include "engine/verify/segment_scan.h"

namespace tidemark::verify {
namespace {

// What the file's header would tell, from elsewhere.
struct Origin {
  std::string database_id;  // empty: not known
  uint64_t number = 0;      // 0: not known
};

Origin origin_of(FileSystem& fs, const std::string& path) {
  Origin origin;
  const size_t slash = path.rfind('/');
  if (const auto name = parse_file_name(path.substr(slash == std::string::npos ? 0 : slash + 1)))
    origin.number = name->number;
  if (const auto current = read_file(fs, file_path(parent_dir(path), FileType::kCurrent, 0), 4096)) {
    if (auto decoded = decode_current(*current)) origin.database_id = std::move(decoded->database_id);
  }
  return origin;
}

uint64_t salt_of(FileSystem& fs, const std::string& path) {
  const Origin origin = origin_of(fs, path);
  return origin.database_id.empty() ? 0 : xxh3(origin.database_id, origin.number);
}

// A log of any name and database, if its header is intact.
Result<LogScan> open_log(FileSystem& fs, const std::string& path, LogKind kind) {
  TM_ASSIGN(const auto file, fs.open(path, OpenMode::kRead));
  char bytes[kLogHeaderBytes];
  TM_ASSIGN(const size_t size, file->read_at(0, bytes, sizeof bytes));
  if (const auto header = decode_log_header({bytes, size}, kind))
    return LogScan::read(fs, path, kind, header->database_id, header->file_number);
  const Origin origin = origin_of(fs, path);
  return LogScan::read(fs, path, kind, origin.database_id, origin.number);
}

Status visit_log(FileSystem& fs, const std::string& path, LogKind kind, RecordVisitor& visitor,
                 const std::function<Status(uint64_t offset, std::string_view payload)>& record) {
  TM_ASSIGN(LogScan log, open_log(fs, path, kind));
  if (log.header())
    TM_TRY(visitor.on_log_header(*log.header()));
  else
    TM_TRY(visitor.on_damage(0, log.header().error().message));
  while (const auto piece = log.next(std::nullopt)) {
    if (piece->record)
      TM_TRY(record(piece->offset, piece->record->payload));
    else
      TM_TRY(visitor.on_damage(piece->offset, "no intact record up to offset " + std::to_string(piece->end)));
  }
  return {};
}

struct WalForward final : WalVisitor {
  explicit WalForward(RecordVisitor& out) : out(out) {}
  Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    return out.on_commit(offset, stamp, timestamp_ms);
  }
  Status on_write(WriteKind kind, std::string_view key, std::string_view value) override {
    return out.on_write(offset, kind, key, kind == WriteKind::kPut ? std::optional(value) : std::nullopt);
  }
  Status on_ingest(const WalIngest& ingest) override { return out.on_ingest(offset, ingest); }

  RecordVisitor& out;
  uint64_t offset = 0;
};

// After an error nothing more is passed on.
struct ChangeForward final : ChangeVisitor {
  explicit ChangeForward(RecordVisitor& out) : out(out) {}
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    if (status) status = out.on_commit(offset, stamp, timestamp_ms);
  }
  void on_write(WriteKind kind, std::string_view key) override {
    if (status) status = out.on_write(offset, kind, key, std::nullopt);
  }

  RecordVisitor& out;
  uint64_t offset = 0;
  Status status;
};

}  // namespace

Status visit_manifest_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor) {
  return visit_log(fs, path, LogKind::kManifest, visitor, [&](uint64_t offset, std::string_view payload) {
    const auto edit = decode_manifest_edit(payload);
    return edit ? visitor.on_edit(offset, *edit) : visitor.on_damage(offset, edit.error().message);
  });
}

Status visit_wal_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor) {
  WalForward forward(visitor);
  return visit_log(fs, path, LogKind::kWal, visitor,
                   [&](uint64_t offset, std::string_view payload) -> Status {
                     forward.offset = offset;
                     const bool copy = payload.starts_with(static_cast<char>(WalRecordType::kCopy));
                     const std::string_view inner = payload.substr(copy ? 1 : 0);
                     if (!inner.empty())
                       TM_TRY(visitor.on_wal_record(offset, static_cast<WalRecordType>(inner.front()), copy));
                     Status visited = visit_wal_payload(payload, forward);
                     if (visited || visited.error().code != ErrorCode::kCorruption) return visited;
                     return visitor.on_damage(offset, visited.error().message);
                   });
}

Status visit_segment_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor) {
  TM_ASSIGN(const auto file, fs.open(path, OpenMode::kRead));
  TM_TRY(file->size());
  Status status;
  Reporter reporter(
      [&](const Finding& finding) {
        if (status) status = visitor.on_damage(finding.offset, finding.what);
      },
      nullptr);
  SegmentScanOptions options;
  options.search_blocks = true;
  options.check_filter = true;
  options.salt = salt_of(fs, path);
  SegmentScan scan(fs, path, std::nullopt, options, reporter);
  while (status && scan.next()) status = visitor.on_version(scan);
  reporter.finish();
  return status;
}

Status visit_change_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor) {
  TM_ASSIGN(const auto file, fs.open(path, OpenMode::kRead));
  TM_TRY(file->size());
  ChangeForward forward(visitor);
  Reporter reporter(
      [&](const Finding& finding) {
        if (forward.status) forward.status = visitor.on_damage(finding.offset, finding.what);
      },
      nullptr);
  ChangeScanOptions options;
  options.search_blocks = true;
  options.salt = salt_of(fs, path);
  options.block = [&](uint64_t offset) { forward.offset = offset; };
  scan_changes(fs, path, std::nullopt, options, forward, reporter);
  reporter.finish();
  return forward.status;
}

Result<std::string> current_manifest(FileSystem& fs, const std::string& dir) {
  const std::string path = file_path(dir, FileType::kCurrent, 0);
  TM_ASSIGN(const std::string bytes, read_file(fs, path, 4096));
  const auto current = decode_current(bytes);
  if (!current) return fail_within(path, current.error());
  return file_path(dir, FileType::kManifest, current->manifest_number);
}

}  // namespace tidemark::verify
