// One line per event, whatever is in it.
#include "tools/log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace tidemark::tools {
namespace {

constexpr char kTime[] = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)";

std::vector<std::string> logged(LogFormat format, LogLevel least,
                                const std::vector<std::pair<LogLevel, std::string>>& events) {
  ::testing::internal::CaptureStderr();
  {
    const LogSink log = stderr_log(format, least);
    for (const auto& [level, line] : events) log(level, line);
  }
  std::istringstream in(::testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Log, TextLines) {
  const auto lines = logged(LogFormat::kText, LogLevel::kDebug,
                            {{LogLevel::kDebug, "a"},
                             {LogLevel::kInfo, "two\nlines\x1b[1m"},
                             {LogLevel::kWarning, "%v {} \"quoted\""},
                             {LogLevel::kError, "b"}});
  const std::vector<std::string> expected = {"debug a", "info two lines \\[1m",
                                             "warning %v \\{\\} \"quoted\"", "error b"};
  ASSERT_EQ(lines.size(), expected.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_TRUE(std::regex_match(lines[i], std::regex(std::string(kTime) + " " + expected[i]))) << lines[i];
  }
}

TEST(Log, JsonLinesParse) {
  const std::string message = "a \"quoted\" \\ name\nwith\x01 \xc3\xa4 %v {}";
  const auto lines = logged(LogFormat::kJson, LogLevel::kInfo,
                            {{LogLevel::kError, message}, {LogLevel::kInfo, "not \xff utf-8 \xc3"}});
  ASSERT_EQ(lines.size(), 2u);
  const boost::json::object first = boost::json::parse(lines[0]).as_object();
  EXPECT_EQ(first.size(), 3u);
  EXPECT_TRUE(std::regex_match(std::string(first.at("time").as_string()), std::regex(kTime)));
  EXPECT_EQ(first.at("level").as_string(), "error");
  EXPECT_EQ(first.at("message").as_string(), message);
  const boost::json::object second = boost::json::parse(lines[1]).as_object();
  EXPECT_EQ(second.at("level").as_string(), "info");
  EXPECT_EQ(second.at("message").as_string(), "not  utf-8 ");
}

TEST(Log, LevelsBelowTheLeastAreDropped) {
  const std::vector<std::pair<LogLevel, std::string>> events = {
      {LogLevel::kDebug, "1"}, {LogLevel::kInfo, "2"}, {LogLevel::kWarning, "3"}, {LogLevel::kError, "4"}};
  EXPECT_EQ(logged(LogFormat::kText, LogLevel::kDebug, events).size(), 4u);
  EXPECT_EQ(logged(LogFormat::kText, LogLevel::kInfo, events).size(), 3u);
  EXPECT_EQ(logged(LogFormat::kJson, LogLevel::kWarning, events).size(), 2u);
  EXPECT_EQ(logged(LogFormat::kJson, LogLevel::kError, events).size(), 1u);
}

}  // namespace
}  // namespace tidemark::tools
