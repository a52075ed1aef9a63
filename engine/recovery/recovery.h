// From a folder to a database that can serve: creation, or recovery of what the last process left.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/io/clock.h"
#include "engine/io/file_system.h"
#include "engine/mvcc/head.h"
#include "engine/mvcc/version_set.h"
#include "engine/segment/segment_file.h"
#include "engine/wal/wal_writer.h"

namespace tidemark {

struct Recovered {
  std::unique_ptr<FileSystem> files;  // outlives the rest
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<VersionSet> versions;  // with the active memtable, holding what was not in segments
  Head::Value last;                      // the newest commit
  std::unique_ptr<WalWriter> wal;        // started; everything accepted is durable
  uint8_t epoch = 1;
  size_t wal_files = 1;  // that hold what is not in segments
};

// Opens the database in `dir`, creating it if it is missing and that is asked for. Nothing is written to a
// folder that is not ours, and nothing is removed before everything that counts was read.
Result<Recovered> recover(FileSystem& file_system, Clock& clock, const std::string& dir, bool create_if_missing,
                          OpenSegments& open_segments, const LogSink& log);

}  // namespace tidemark
