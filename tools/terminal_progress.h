// Shows a person at a terminal how far a command has come: one line on stderr, which is gone at its end.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

#include "tools/line_sink.h"

namespace tidemark::tools {

class TerminalProgress final : public LineSink {
 public:
  ~TerminalProgress() override {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  Status line(std::string_view) override { return {}; }
  Status progress(std::string_view text) override {
    if (!is_terminal_) return {};
    shown_ = true;
    std::fputs(("\r\x1b[K" + std::string(text)).c_str(), stderr);
    return {};
  }

 private:
  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

}  // namespace tidemark::tools
