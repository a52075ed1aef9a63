// How far the load of a file has come: a small file beside it, FILE.tidemark-load, so that a load that was
// broken off can go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/status.h"
#include "server/dump/dump_line.h"

namespace tidemark::tools {

struct LoadMark {
  bool all = false;  // of a dump of all databases
  std::string database;
  uint64_t offset = 0;  // in the file, of what is not loaded yet
  uint64_t before = 0;  // hash of what stands just before that place, to know the file by
  uint64_t lines = 0;   // before that place
  dump::Counts counts;  // of what is loaded
  bool header = false;  // the file is a dump
  bool end = false;     // its last line was there
};

std::string load_mark_path(const std::string& file);
// LoadMark::before. What comes behind the place may change: a line that could not be loaded is to be mended.
Result<uint64_t> hash_before(const std::string& file, uint64_t offset);
// Nothing if there is none. Errors name the file.
Result<std::optional<LoadMark>> read_load_mark(const std::string& path);
// Replaces it as a whole.
Status write_load_mark(const std::string& path, const LoadMark& mark);
Status remove_load_mark(const std::string& path);

}  // namespace tidemark::tools
