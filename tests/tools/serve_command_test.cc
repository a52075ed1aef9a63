// The command line of `tidemark serve`, up to the point where it would open the store.
#include "tools/serve_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/server/kv/test_store.h"

namespace tidemark::tools {
namespace {

class ServeCommand : public ::testing::Test {
 protected:
  ServeCommand() {
    unsetenv(kDataDirVariable);
    unsetenv(kAccessTokenVariable);
  }
  ~ServeCommand() override {
    unsetenv(kDataDirVariable);
    unsetenv(kAccessTokenVariable);
  }

  // Parses and checks; what CLI11 refuses comes as kInvalidArgument too.
  Result<ServeOptions> run(std::vector<std::string> words) {
    CLI::App app;
    app.require_subcommand(1);
    ServeArguments arguments;
    add_serve_command(app, arguments);
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      app.parse(reversed);
    } catch (const CLI::ParseError& error) {
      return fail(ErrorCode::kInvalidArgument, error.what());
    }
    return check_serve_arguments(arguments);
  }

  std::string refusal(std::vector<std::string> words) {
    const Result<ServeOptions> options = run(std::move(words));
    if (options) return "";
    EXPECT_EQ(options.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(options.error().message.find('\n'), std::string::npos);
    return options.error().message;
  }

  test::TempFolder folder_;
};

const std::string kToken = "a token of the test";

TEST_F(ServeCommand, Defaults) {
  const auto options = run({"serve", "--access-token", kToken});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->data_dir, "./data");
  EXPECT_EQ(options->address, "0.0.0.0:4512");
  EXPECT_EQ(options->access_token, kToken);
  EXPECT_EQ(options->public_url, "");
  EXPECT_EQ(options->retention, Retention::for_ms(int64_t{7} * 24 * 3600 * 1000));
  EXPECT_FALSE(options->history_max_bytes);
  EXPECT_EQ(options->block_cache_bytes, uint64_t{256} << 20);
  EXPECT_EQ(options->shutdown_timeout_ms, 10'000);
}

TEST_F(ServeCommand, EveryOption) {
  const auto options =
      run({"serve", "--data-dir", "d", "--addr", "[::1]:0", "--access-token", kToken, "--public-url",
           "https://x/", "--history-retention", "none", "--history-max-bytes", "4G", "--block-cache-bytes",
           "64M", "--shutdown-timeout", "1m"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->data_dir, "d");
  EXPECT_EQ(options->address, "[::1]:0");
  EXPECT_EQ(options->public_url, "https://x");
  EXPECT_EQ(options->retention, Retention::none());
  EXPECT_EQ(options->history_max_bytes, uint64_t{4} << 30);
  EXPECT_EQ(options->block_cache_bytes, uint64_t{64} << 20);
  EXPECT_EQ(options->shutdown_timeout_ms, 60'000);
}

TEST_F(ServeCommand, DataDirBeforeAndAfterTheSubcommandAndFromTheEnvironment) {
  EXPECT_EQ(run({"--data-dir", "before", "serve", "--access-token", kToken})->data_dir, "before");
  EXPECT_EQ(run({"serve", "--data-dir=after", "--access-token", kToken})->data_dir, "after");
  setenv(kDataDirVariable, "environment", 1);
  EXPECT_EQ(run({"serve", "--access-token", kToken})->data_dir, "environment");
  EXPECT_EQ(run({"--data-dir", "before", "serve", "--access-token", kToken})->data_dir, "before");
  EXPECT_EQ(run({"serve", "--data-dir", "after", "--access-token", kToken})->data_dir, "after");
}

TEST_F(ServeCommand, TokenFromFileEnvironmentAndArgument) {
  const std::string path = folder_ / "token";
  std::ofstream(path) << "the token of a file\n";
  EXPECT_EQ(run({"serve", "--access-token-file", path})->access_token, "the token of a file");
  setenv(kAccessTokenVariable, "the token of the environment", 1);
  EXPECT_EQ(run({"serve"})->access_token, "the token of the environment");
  EXPECT_EQ(run({"serve", "--access-token-file", path})->access_token, "the token of a file");
  EXPECT_EQ(run({"serve", "--access-token", kToken})->access_token, kToken);
  EXPECT_NE(refusal({"serve", "--access-token", kToken, "--access-token-file", path}), "");
}

TEST_F(ServeCommand, TokensThatWillNotDo) {
  EXPECT_EQ(run({"serve"})->access_token, "");  // the store may have its own
  EXPECT_NE(refusal({"serve", "--access-token", "short"}).find("at least 12 characters"), std::string::npos);
  setenv(kAccessTokenVariable, "short", 1);
  EXPECT_NE(refusal({"serve"}).find(kAccessTokenVariable), std::string::npos);
  std::ofstream(folder_ / "empty");
  EXPECT_NE(refusal({"serve", "--access-token-file", folder_ / "empty"}), "");
  const auto missing = run({"serve", "--access-token-file", folder_ / "missing"});
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().code, ErrorCode::kInvalidArgument);  // the system's fault, not the command line's
  EXPECT_NE(missing.error().message.find(folder_ / "missing"), std::string::npos);
}

TEST_F(ServeCommand, WrongValuesNameTheirOption) {
  for (const char* option : {"--addr", "--history-retention", "--history-max-bytes", "--block-cache-bytes",
                             "--public-url", "--shutdown-timeout"}) {
    const std::string message = refusal({"serve", "--access-token", kToken, option, "nonsense"});
    EXPECT_TRUE(message.starts_with(option)) << message;
  }
  EXPECT_NE(refusal({"serve", "--no-such-option"}), "");
  EXPECT_NE(refusal({"serve", "extra"}), "");
  EXPECT_NE(refusal({}), "");
  EXPECT_NE(refusal({"swerve"}), "");
}

TEST_F(ServeCommand, WordsOfDenokv) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(refusal({"serve", "--access-token", kToken, "--num-workers", "4",
                     "--atomic-write-batch-timeout-ms", "5"}),
            "");
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("--num-workers"), std::string::npos);
  EXPECT_NE(warnings.find("--atomic-write-batch-timeout-ms"), std::string::npos);
  EXPECT_TRUE(
      refusal({"--sqlite-path", "x.db", "serve", "--access-token", kToken}).starts_with("--sqlite-path: "));
  EXPECT_TRUE(refusal({"serve", "--sqlite-path", "x.db"}).starts_with("--sqlite-path: "));
}

}  // namespace
}  // namespace tidemark::tools
