// The program's log: one line per event, on stderr.
#pragma once

#include <cstdint>

#include "engine/base/log.h"

namespace tidemark::tools {

enum class LogFormat : uint8_t {
  kText,  // "2026-11-21T10:00:00.000Z info Listening on ..."
  kJson,  // {"time":"2026-11-21T10:00:00.000Z","level":"info","message":"Listening on ..."}
};

// A sink for everything below tools/ that drops what is below `least`; any thread, for as long as the process
// lives. Times are UTC, as RFC 3339 has them.
LogSink stderr_log(LogFormat format, LogLevel least);

}  // namespace tidemark::tools
