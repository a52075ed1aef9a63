// Where settings come from, which of several counts, and what is said about bad ones.
#include "tools/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/server/kv/test_store.h"
#include "tests/tools/serve_settings.h"

namespace tidemark::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class SettingsTest : public ServeSettingsTest {
 protected:
  SettingsTest() { setenv("DENO_KV_ACCESS_TOKEN", kToken.c_str(), 1); }

  // Written to a file of that name, whose path is given back.
  std::string file(const std::string& text) {
    const std::string path = folder_ / "tidemark.toml";
    std::ofstream(path) << text;
    return path;
  }
  Checked with_file(const std::string& text) { return check({"serve", "--config", file(text)}); }
  // Of a file, without its path.
  std::vector<std::string> problems_of(const std::string& text) {
    std::vector<std::string> out;
    for (const Error& problem : with_file(text).problems) {
      EXPECT_EQ(problem.code, ErrorCode::kInvalidArgument);
      EXPECT_EQ(problem.message.find('\n'), std::string::npos);
      out.push_back(problem.message);
      const size_t place = out.back().find(folder_.path() + "/");
      if (place != std::string::npos) out.back().erase(place, folder_.path().size() + 1);
    }
    return out;
  }

  const std::string kToken = "the token of this test";
  test::TempFolder folder_;
};

TEST_F(SettingsTest, FlagsGoBeforeTheEnvironmentAndThatBeforeTheFile) {
  const std::string path = file("addr = '127.0.0.1:1'\nlog-level = 'error'\nmax-checks = 7\n");
  setenv("TIDEMARK_ADDR", "127.0.0.1:2", 1);
  setenv("TIDEMARK_LOG_LEVEL", "warning", 1);
  const Checked checked = check({"serve", "--config", path, "--addr", "127.0.0.1:3"});
  ASSERT_TRUE(checked.problems.empty()) << checked.problems.front().message;
  EXPECT_EQ(checked.options.address, "127.0.0.1:3");
  EXPECT_EQ(checked.options.log_level, LogLevel::kWarning);
  EXPECT_EQ(checked.options.limits.max_checks, 7u);
  EXPECT_EQ(checked.options.shutdown_timeout_ms, 10'000);
}

TEST_F(SettingsTest, TheFileItselfCanBeNamedByTheEnvironment) {
  setenv("TIDEMARK_CONFIG", file("addr = '127.0.0.1:1'").c_str(), 1);
  EXPECT_EQ(check({"serve"}).options.address, "127.0.0.1:1");
  std::ofstream(folder_ / "other.toml") << "addr = '127.0.0.1:2'";
  EXPECT_EQ(check({"serve", "--config", folder_ / "other.toml"}).options.address, "127.0.0.1:2");
}

TEST_F(SettingsTest, AnEmptyVariableIsNone) {
  setenv("TIDEMARK_ADDR", "", 1);
  EXPECT_EQ(check({"serve"}).options.address, "0.0.0.0:4512");
}

TEST_F(SettingsTest, SizesMayBeNumbersOrStrings) {
  EXPECT_EQ(with_file("max-value-size = 1000").options.limits.max_value_bytes, 1000u);
  EXPECT_EQ(with_file("max-value-size = '32KiB'").options.limits.max_value_bytes, 32768u);
  EXPECT_EQ(with_file("max-value-size = 0x10").options.limits.max_value_bytes, 16u);
}

TEST_F(SettingsTest, EveryProblemOfAFileIsToldWithItsLine) {
  EXPECT_THAT(
      problems_of("# a comment\n"
                  "adr = '127.0.0.1:1'\n"
                  "addr = 4512\n"
                  "\n"
                  "max-checks = '7'\n"
                  "max-value-size = 1.5\n"
                  "config = 'x'\n"
                  "check-config = true\n"
                  "log-level = ['info']\n"
                  "shutdown-timeout = 'soon'\n"
                  "[serve]\n"
                  "addr = '127.0.0.1:1'\n"),
      ElementsAre("tidemark.toml:2: there is no setting 'adr'",
                  "tidemark.toml:3: addr must be a string, in quotes",
                  "tidemark.toml:5: max-checks must be a whole number",
                  "tidemark.toml:6: max-value-size must be a whole number of bytes or a string like "
                  "\"64MiB\"",
                  "tidemark.toml:7: config cannot be set in the file itself",
                  "tidemark.toml:8: there is no setting 'check-config'",
                  "tidemark.toml:9: log-level must be a string, in quotes",
                  "tidemark.toml:11: there is no setting 'serve'",
                  "tidemark.toml:10: shutdown-timeout: 'soon' is not a duration like 45s, 30m, 12h or "
                  "7d"));
}

TEST_F(SettingsTest, WhatIsNoTomlIsToldWithItsLine) {
  for (const char* text : {"log-level = 'info'\naddr = \"127\n", "\naddr 4512\n", "\naddr = \xff\n",
                           "addr = 'a:1'\naddr = 'b:2'\n", "\n= 1\n", "\n[[\n"}) {
    const std::vector<std::string> problems = problems_of(text);
    ASSERT_EQ(problems.size(), 1u) << text;
    EXPECT_TRUE(problems[0].starts_with("tidemark.toml:2: ")) << problems[0];
  }
}

TEST_F(SettingsTest, AFileThatCannotBeRead) {
  const Checked checked = check({"serve", "--config", folder_ / "missing.toml"});
  ASSERT_EQ(checked.problems.size(), 1u);
  EXPECT_TRUE(checked.problems[0].message.starts_with("--config: ")) << checked.problems[0].message;
  EXPECT_THAT(checked.problems[0].message, HasSubstr("missing.toml"));
  EXPECT_EQ(problems_of(std::string(2 << 20, '\n')).size(), 1u);
}

TEST_F(SettingsTest, ProblemsNameThePlaceThatTheValueCameFrom) {
  setenv("TIDEMARK_LOG_FORMAT", "xml", 1);
  const Checked checked = check({"serve", "--addr", "4512", "--config", file("history-retention = 'x'")});
  ASSERT_EQ(checked.problems.size(), 3u);
  EXPECT_TRUE(checked.problems[0].message.starts_with("--addr: '4512'"));
  EXPECT_THAT(checked.problems[1].message, HasSubstr("tidemark.toml:1: history-retention: 'x'"));
  EXPECT_TRUE(checked.problems[2].message.starts_with("TIDEMARK_LOG_FORMAT: 'xml'"));
}

TEST_F(SettingsTest, OfTwoTokensTheOneFromTheHigherPlaceCounts) {
  std::ofstream(folder_ / "token") << "the token of a file\n";
  const std::string path = file("access-token-file = '" + (folder_ / "token") + "'");
  EXPECT_EQ(check({"serve", "--config", path}).options.access_token, kToken);
  EXPECT_EQ(check({"serve", "--access-token-file", folder_ / "token"}).options.access_token,
            "the token of a file");
  unsetenv("DENO_KV_ACCESS_TOKEN");
  EXPECT_EQ(check({"serve", "--config", path}).options.access_token, "the token of a file");
  EXPECT_EQ(check({"serve", "--config", path, "--access-token", kToken}).options.access_token, kToken);
  const Checked both = with_file("access-token-file = 'x'\naccess-token = '" + kToken + "'");
  ASSERT_EQ(both.problems.size(), 1u);
  EXPECT_THAT(both.problems[0].message, HasSubstr("exclude each other"));
  EXPECT_THAT(both.problems[0].message, Not(HasSubstr(kToken)));
}

// The lines of a description, without what is between value and origin.
std::set<std::string> lines_of(const std::string& description) {
  std::set<std::string> out;
  std::istringstream in(description);
  for (std::string line; std::getline(in, line);)
    out.insert(std::regex_replace(line, std::regex(" {2,}"), " "));
  return out;
}

TEST_F(SettingsTest, TheDescriptionTellsEveryValueAndItsOrigin) {
  setenv("TIDEMARK_LOG_LEVEL", "error", 1);
  const std::string path = file("# one\nmax-checks = 9\nmax-value-size = 1000\n");
  const Checked checked = check({"--data-dir", "a 'quoted'\nfolder", "serve", "--config", path});
  ASSERT_TRUE(checked.problems.empty());
  const std::set<std::string> lines = lines_of(checked.description);
  const auto expect = [&](const std::string& line) {
    EXPECT_TRUE(lines.contains(line)) << line << "\n" << checked.description;
  };
  expect("data-dir = \"a 'quoted'\\nfolder\" # flag --data-dir");
  expect("log-level = \"error\" # environment TIDEMARK_LOG_LEVEL");
  expect("max-checks = 9 # file " + path + ":2");
  expect("max-value-size = \"1000\" # file " + path + ":3");
  expect("addr = \"0.0.0.0:4512\" # default");
  expect("# history-max-bytes is not set # default");
  expect("# access-token is given and not shown # environment DENO_KV_ACCESS_TOKEN");
  EXPECT_THAT(checked.description, Not(HasSubstr(kToken)));
}

TEST_F(SettingsTest, TheDescriptionIsAFileThatSaysTheSame) {
  const Checked first = check({"serve", "--addr", "127.0.0.1:1", "--max-checks", "5", "--public-url",
                               "https://x", "--block-cache-bytes", "1G"});
  ASSERT_TRUE(first.problems.empty());
  const Checked second = with_file(first.description);
  ASSERT_TRUE(second.problems.empty()) << second.problems.front().message;
  EXPECT_EQ(second.options.address, "127.0.0.1:1");
  EXPECT_EQ(second.options.limits.max_checks, 5u);
  EXPECT_EQ(second.options.public_url, "https://x");
  EXPECT_EQ(second.options.block_cache_bytes, uint64_t{1} << 30);
}

// docs/CONFIGURATION.md and the program say the same.

struct Row {
  std::string environment;
  std::string type;
  std::string fallback;
};

// Rows of the form | `--flag` | `VARIABLE` | type | default | ...
std::map<std::string, Row> documented_settings() {
  std::ifstream in(TIDEMARK_SOURCE_ROOT "/docs/CONFIGURATION.md");
  EXPECT_TRUE(in.is_open());
  std::map<std::string, Row> rows;
  const std::regex row(
      R"(\| `--([a-z0-9-]+)` \|\s*`?([A-Z0-9_]*)`?\s*\|\s*([^|]+?)\s*\|\s*`?([^`|]*?)`?\s*\|.*)");
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    EXPECT_TRUE(rows.insert({match[1], {match[2], match[3], match[4]}}).second)
        << match[1] << " is there twice";
  }
  return rows;
}

TEST_F(SettingsTest, TheDocumentListsWhatTheHelpLists) {
  CLI::App app;
  ServeArguments arguments;
  const CLI::App* const serve = add_serve_command(app, arguments);
  const std::string help = app.get_subcommand("serve")->help();
  std::set<std::string> of_help;
  const std::regex flag(R"((?:^|\n) +(?:-\w,)?--([a-z0-9-]+))");
  for (std::sregex_iterator it(help.begin(), help.end(), flag), end; it != end; ++it)
    of_help.insert((*it)[1]);
  EXPECT_TRUE(of_help.contains("data-dir"));

  std::set<std::string> of_document;
  const auto rows = documented_settings();
  for (const auto& [name, row] : rows) of_document.insert(name);
  EXPECT_EQ(of_document, of_help);

  for (const std::string& name : setting_names(*serve)) {
    ASSERT_TRUE(rows.contains(name)) << name;
    const Row& row = rows.find(name)->second;
    EXPECT_EQ(row.environment, environment_name(name));
    EXPECT_EQ(row.fallback, serve->get_option("--" + name)->get_default_str()) << name;
    EXPECT_FALSE(row.type.empty()) << name;
  }
}

}  // namespace
}  // namespace tidemark::tools
