// `tidemark dump --wal FILE` and its kin: single files of a database as JSON Lines, as far as damage allows.
//
// Each line is an object with the offset of its record or block, and one of
//
//   header     of a log file: {kind, databaseId, number, predecessor, predecessorEnd}
//   record     of a WAL file: "group", "ingest" or "close"; with copy: true if recovery wrote it again
//   commit     a versionstamp, with the commit's time
//   put, erase a key in base64 (`keyText`: the same for people), a put of a WAL file with its value; of a
//              segment with versionstamp and, in history, superseded
//   edit       of a manifest
//   ingest     of a WAL file
//   damage     a sentence; the next line is what can be read behind it
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/base/status.h"
#include "engine/io/file_system.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

struct FileDumpArguments {
  std::string wal;  // paths; one is not empty, if such a dump is asked for
  std::string segment;
  std::string changes;
  std::string manifest;  // or the folder of a database

  bool any() const { return !(wal + segment + changes + manifest).empty(); }
};

// Adds --wal, --segment, --changes and --manifest, of which one at most may be given. `arguments` must
// outlive `command`.
CLI::Option_group* add_file_dump_options(CLI::App& command, FileDumpArguments& arguments);

// How many places were damaged. Errors: kNotFound and kIo if the file cannot be read, and those of `lines`.
Result<uint64_t> dump_file(FileSystem& fs, const FileDumpArguments& arguments, LineSink& lines);

// To stdout. The exit code: 0 the file is whole, 1 it cannot be read, 4 something is damaged.
int run_file_dump(const FileDumpArguments& arguments);

}  // namespace tidemark::tools
