#include "tools/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/locale/encoding_utf.hpp>
#include <memory>
#include <string>

namespace tidemark::tools {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
// The message comes with its quotes.
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%v})";

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

// One event is one line, whatever a file's name may hold.
std::string text_message(std::string_view line) {
  std::string clean(line);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return clean;
}

// Bytes that are no UTF-8 are left out: JSON cannot hold them.
std::string json_message(std::string_view line) {
  return boost::json::serialize(boost::json::string(boost::locale::conv::utf_to_utf<char>(
      line.data(), line.data() + line.size(), boost::locale::conv::skip)));
}

}  // namespace

LogSink stderr_log(LogFormat format, LogLevel least) {
  const bool json = format == LogFormat::kJson;
  const auto logger = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(json ? kJsonPattern : kTextPattern,
                                                                    spdlog::pattern_time_type::utc));
  logger->set_level(level_of(least));
  return [logger, json](LogLevel level, std::string_view line) {
    if (!logger->should_log(level_of(level))) return;
    const std::string message = json ? json_message(line) : text_message(line);
    logger->log(level_of(level), spdlog::string_view_t(message.data(), message.size()));
  };
}

}  // namespace tidemark::tools
