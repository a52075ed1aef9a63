// The program's log: one line per event, on stderr.
#pragma once

#include "engine/base/log.h"

namespace tidemark::tools {

// A sink for everything below tools/; any thread, for as long as the process lives.
LogSink stderr_log();

}  // namespace tidemark::tools
