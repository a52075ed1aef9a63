// What a command shows while it works, and lines for stdout.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

// One line on stderr that is written over again; nothing if that is no terminal.
class ProgressLine {
 public:
  ProgressLine();
  // Takes the line away.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  // At most a few times a second; what comes faster is dropped.
  void show(std::string_view text);
  void clear();

 private:
  const bool on_;
  int64_t shown_ms_ = 0;
  bool there_ = false;
};

// Lines to a file of stdio, progress to stderr. kIo if they cannot be written.
class FileLines final : public LineSink {
 public:
  explicit FileLines(std::FILE* file) : file_(file) {}
  Status line(std::string_view text) override;
  Status progress(std::string_view text) override;
  // Writes out what is still in memory.
  Status flush();

 private:
  std::FILE* const file_;
  ProgressLine progress_;
};

}  // namespace tidemark::tools
