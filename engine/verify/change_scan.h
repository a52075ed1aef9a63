// All of a change file that can be read, checked on the way.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/base/status.h"
#include "engine/format/change_record.h"
#include "engine/io/file_system.h"
#include "engine/verify/reporter.h"

namespace tidemark::verify {

struct ChangeScanOptions {
  bool search_blocks = false;  // if the index is damaged, look for blocks all the same
  uint64_t salt = 0;           // to be tried if the header is damaged; 0: not known
  // Called where commits may be missing between the one before and the next. May be empty.
  std::function<void()> gap = nullptr;
  // Called before the commits of each block with its offset. May be empty.
  std::function<void(uint64_t)> block = nullptr;
};

struct ChangeScanResult {
  bool whole = true;     // nothing in it is missing, damaged or out of order
  ChangeFileMeta found;  // of the commits that could be read
};

// Calls the visitor for every commit that can be read, in order; whole commits only. `meta`: what the
// manifest says of the file; nothing: not known. One that is missing is not reported here.
ChangeScanResult scan_changes(FileSystem& fs, const std::string& path,
                              const std::optional<ChangeFileMeta>& meta, const ChangeScanOptions& options,
                              ChangeVisitor& visitor, Reporter& reporter);

}  // namespace tidemark::verify
