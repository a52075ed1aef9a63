// Which files a database has and should have, as far as CURRENT and the manifest can still tell.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/file_names.h"
#include "engine/io/file_system.h"
#include "engine/manifest/manifest.h"
#include "engine/verify/reporter.h"

namespace tidemark::verify {

struct DatabaseFiles {
  std::string dir;
  std::string database_id;       // 16 bytes; empty if no file tells it
  ManifestState state;           // what the manifest's intact records add up to
  std::string manifest_path;     // of the manifest that was read; CURRENT's if there is none
  uint64_t manifest_number = 0;  // 0: none could be read
  bool whole = true;             // the manifest's records are all there
  bool newer_format = false;     // CURRENT or the manifest is a newer version's: nothing else was looked at
  // The manifest has lost records, or there is none: which segments and change files there must be is what
  // the folder has, and what they are, what they say of themselves. All live segments stand on level 0, each
  // history segment is a run, and of change files nothing is known but their numbers. What else the state
  // says comes from the records that are left, if any.
  bool guessed = false;
  // Sizes of the files that are there, by number.
  std::map<uint64_t, uint64_t> wals, segments, changes, manifests;
  std::vector<std::string> leftovers;  // paths of other files of ours
  std::vector<std::string> foreign;    // paths of files that are none of ours

  std::string path(FileType type, uint64_t number) const { return file_path(dir, type, number); }
  // What a segment or change file with a damaged header may be salted with; 0: not known.
  uint64_t salt(uint64_t number) const;
};

// Fails only if the folder cannot be listed, or holds no database (kNotFound); all else is reported.
Result<DatabaseFiles> load_files(FileSystem& fs, const std::string& dir, Reporter& reporter);

// Files that the state names and that are not there, and files that are there for nothing; but for WAL files,
// which the log's own check looks at.
void check_references(const DatabaseFiles& files, Reporter& reporter);

// What the state says that cannot be true.
void check_state(const DatabaseFiles& files, Reporter& reporter);

}  // namespace tidemark::verify
