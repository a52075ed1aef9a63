// The manifest: which files make up the database, and what is known of it as a whole.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/manifest_edit.h"
#include "engine/io/file_system.h"

namespace tidemark {

inline constexpr uint64_t kLevels = 7;

// What all edits so far add up to.
struct ManifestState {
  uint64_t epoch = 1;
  uint64_t next_file_number = 1;
  uint64_t oldest_wal = 0;
  uint64_t newest_wal = 0;
  Versionstamp flushed_stamp;
  int64_t flushed_timestamp_ms = 0;
  Versionstamp horizon;
  int64_t retention_clock_ms = 0;
  std::map<uint64_t, PlacedSegment> segments;  // by number
  std::map<uint64_t, ChangeFileMeta> changes;  // by number

  // kCorruption if the edit cannot follow this state: a file added twice or removed without being there, a
  // flushed stamp that goes back, segments of one level (but level 0) or run that overlap, an epoch that is
  // none; then the state is as it was. A horizon or retention clock below what was counts for nothing:
  // neither goes back.
  Status apply(const ManifestEdit& edit);
  // What it becomes so; this one stays as it is.
  Result<ManifestState> with(const ManifestEdit& edit) const;
  // The same in place, for many edits in a row: after an error the state is good for nothing, and whether
  // segments overlap is left to check_runs().
  Status add_up(const ManifestEdit& edit);
  Status check_runs() const;
  // One edit that makes this state out of nothing.
  ManifestEdit as_snapshot() const;
};

// What CURRENT says.
struct CurrentFile {
  std::string database_id;  // 16 bytes
  uint64_t manifest_number = 0;
};
// `bytes`: of the whole file. kCorruption (no file name in the message) or kNewerFormat.
Result<CurrentFile> decode_current(std::string_view bytes);

// The manifest file on disk. One thread at a time.
class Manifest {
 public:
  // A new database: writes the first manifest, with these contents, and CURRENT.
  static Result<std::unique_ptr<Manifest>> create(FileSystem& fs, const std::string& dir,
                                                  const std::string& database_id,
                                                  const ManifestEdit& contents);
  // Reads what CURRENT names. Nothing is written before roll().
  static Result<std::unique_ptr<Manifest>> open(FileSystem& fs, const std::string& dir);

  // Whether the folder's CURRENT begins as ours do.
  static bool is_current_file(FileSystem& fs, const std::string& dir);

  const std::string& database_id() const { return database_id_; }
  const ManifestState& state() const { return state_; }
  uint64_t file_number() const { return number_; }

  // Starts a new manifest file that begins with the whole state, the edits given applied, and points CURRENT
  // to it: that vouches for them.
  Status roll(const std::vector<ManifestEdit>& edits = {});
  // Vouches for the last edit, so that damage to it cannot pass for a torn tail. Nothing may be applied
  // afterwards.
  Status close();
  // Makes one edit durable, then part of state(). After a failed sync every later call fails with
  // kReadOnly: what the file holds is in doubt. kNoSpace: nothing was changed. kCorruption (a rule of
  // ManifestState broken) changes nothing.
  Status apply(const ManifestEdit& edit);

  // Numbers for new files, never used before.
  uint64_t new_file_number() { return state_.next_file_number++; }
  void skip_file_numbers(uint64_t at_least) {
    state_.next_file_number = std::max(state_.next_file_number, at_least);
  }

 private:
  Manifest(FileSystem& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}
  Status append(const ManifestEdit& edit);

  FileSystem& fs_;
  const std::string dir_;
  std::string database_id_;
  ManifestState state_;
  uint64_t number_ = 0;         // of the file that CURRENT names
  std::unique_ptr<File> file_;  // open for appending, after roll()
  uint64_t end_ = 0;
  uint64_t allocated_ = 0;
  bool broken_ = false;
};

}  // namespace tidemark
