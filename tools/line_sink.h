// Where a command that has much to say puts it, line by line.
#pragma once

#include <string_view>

#include "engine/base/status.h"

namespace tidemark::tools {

// One thread.
class LineSink {
 public:
  virtual ~LineSink() = default;
  // A line without its end, which has no line break inside. kShutdown: nobody listens any more, or the server
  // is ending; the command should give up with that error.
  virtual Status line(std::string_view text) = 0;
  // How far it has come, in words, for whoever looks on; not part of the answer. Errors as those of line().
  virtual Status progress(std::string_view text) = 0;
};

// For commands that say nothing before their answer.
class NoLines final : public LineSink {
 public:
  Status line(std::string_view) override { return {}; }
  Status progress(std::string_view) override { return {}; }
};

}  // namespace tidemark::tools
