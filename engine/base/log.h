// Where the engine says what an operator should know. The program decides where the lines go.
#pragma once

#include <functional>
#include <string_view>

namespace tidemark {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Called from any thread, possibly from several at once; must not call back into the engine.
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace tidemark
