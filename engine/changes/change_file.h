// Change files: what happened between two moments, in commit order. Segments, being in key order, cannot
// tell.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/format/change_record.h"
#include "engine/format/segment_layout.h"
#include "engine/io/file_system.h"

namespace tidemark {

// One thread. A file that was not finished is worthless; remove it.
class ChangeFileWriter {
 public:
  static Result<std::unique_ptr<ChangeFileWriter>> create(FileSystem& fs, const std::string& path,
                                                          uint64_t number, uint64_t salt);
  // Commits in their order, each followed by its `writes` writes.
  Status begin_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes);
  void add_write(WriteKind kind, std::string_view key) { block_.add_write(kind, key); }
  // Makes the file's bytes durable (the caller syncs the folder). REQUIRES: at least one commit.
  Result<ChangeFileMeta> finish();

 private:
  ChangeFileWriter(std::unique_ptr<File> file, uint64_t number, uint64_t salt);
  void finish_block();

  const std::unique_ptr<File> file_;
  const uint64_t salt_;
  ChangeFileMeta meta_;
  ChangeBlockBuilder block_;
  BlockCompressor compressor_;
  std::vector<ChangeBlockIndex> index_;
  std::string buffer_;
  uint64_t offset_ = 0;  // of the end of buffer_
};

// Immutable; any thread.
class ChangeFileReader {
 public:
  static Result<std::unique_ptr<ChangeFileReader>> open(FileSystem& fs, const std::string& path,
                                                        const ChangeFileMeta& meta);
  // The last commit at or below both; nothing if there is none.
  Result<std::optional<CommitPoint>> floor(Versionstamp stamp, int64_t timestamp_ms) const;
  // Calls the visitor for every commit of the file, in order.
  Status visit(ChangeVisitor& visitor) const;

  // The file in pieces: whole commits, in order.
  size_t blocks() const { return index_.size(); }
  Versionstamp first_stamp(size_t block) const { return index_[block].first_stamp; }
  Status visit_block(size_t block, ChangeVisitor& visitor) const;

 private:
  Result<std::string> read(uint64_t offset, uint64_t size) const;

  ChangeFileMeta meta_;
  std::unique_ptr<File> file_;
  uint64_t salt_ = 0;
  std::vector<ChangeBlockIndex> index_;
};

}  // namespace tidemark
