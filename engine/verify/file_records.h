// What one file of a database says, record by record, as far as damage allows. The file stands for itself: of
// its folder only CURRENT is looked at, where the file's own header is damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/format/change_file_meta.h"
#include "engine/format/log_record.h"
#include "engine/format/manifest_edit.h"
#include "engine/format/segment_meta.h"
#include "engine/format/wal_payload.h"
#include "engine/io/file_system.h"
#include "engine/verify/finding.h"
#include "engine/verify/version_source.h"

namespace tidemark::verify {

// `offset`: of the record or block in the file. An error ends the reading, and is what it gives. Views are
// valid during the call.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;
  virtual Status on_damage(std::optional<uint64_t> offset, const std::string& what) = 0;
  // WAL files and manifests.
  virtual Status on_log_header(const LogHeader&) { return {}; }
  virtual Status on_wal_record(uint64_t, WalRecordType, bool /*copy*/) { return {}; }
  virtual Status on_edit(uint64_t, const ManifestEdit&) { return {}; }
  virtual Status on_ingest(uint64_t, const WalIngest&) { return {}; }
  // WAL files and change files; those have no values.
  virtual Status on_commit(uint64_t, Versionstamp, int64_t /*timestamp_ms*/) { return {}; }
  virtual Status on_write(uint64_t, WriteKind, std::string_view /*key*/,
                          std::optional<std::string_view> /*value*/) {
    return {};
  }
  // Segments.
  virtual Status on_version(const VersionSource&) { return {}; }
};

// kIo and kNotFound if the file cannot be read at all.
Status visit_wal_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor);
Status visit_manifest_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor);
Status visit_segment_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor);
Status visit_change_file(FileSystem& fs, const std::string& path, RecordVisitor& visitor);

// The path of the manifest that a folder's CURRENT names.
Result<std::string> current_manifest(FileSystem& fs, const std::string& dir);

}  // namespace tidemark::verify
