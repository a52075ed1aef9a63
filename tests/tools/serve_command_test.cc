// The command line of `tidemark serve`, up to the point where it would open the store.
#include "tools/serve_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/server/kv/test_store.h"
#include "tests/tools/serve_settings.h"

namespace tidemark::tools {
namespace {

constexpr char kDataDirVariable[] = "TIDEMARK_DATA_DIR";
constexpr char kAccessTokenVariable[] = "DENO_KV_ACCESS_TOKEN";

class ServeCommand : public ServeSettingsTest {
 protected:
  // The first problem, if there is one.
  Result<ServeOptions> run(std::vector<std::string> words) {
    Checked checked = check(std::move(words));
    if (!checked.problems.empty()) return std::unexpected<Error>(checked.problems.front());
    return checked.options;
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
  EXPECT_EQ(options->tls_chain_path, "");
  EXPECT_EQ(options->tls_key_path, "");
  EXPECT_EQ(options->retention, Retention::for_ms(int64_t{7} * 24 * 3600 * 1000));
  EXPECT_FALSE(options->history_max_bytes);
  EXPECT_EQ(options->block_cache_bytes, uint64_t{256} << 20);
  EXPECT_EQ(options->shutdown_timeout_ms, 10'000);
  EXPECT_EQ(options->metrics_address, "127.0.0.1:9464");
  EXPECT_TRUE(options->metrics_address_is_default);
  EXPECT_EQ(options->log_format, LogFormat::kText);
  EXPECT_EQ(options->log_level, LogLevel::kInfo);
  const kv::Limits usual;
  EXPECT_EQ(options->limits.max_value_bytes, usual.max_value_bytes);
  EXPECT_EQ(options->limits.max_transaction_bytes, usual.max_transaction_bytes);
  EXPECT_EQ(options->limits.max_checks, usual.max_checks);
  EXPECT_EQ(options->limits.max_mutations, usual.max_mutations);
}

TEST_F(ServeCommand, EveryOption) {
  const auto options = run({"serve",      "--data-dir",
                            "d",          "--addr",
                            "[::1]:0",    "--access-token",
                            kToken,       "--public-url",
                            "https://x/", "--history-retention",
                            "none",       "--history-max-bytes",
                            "4G",         "--block-cache-bytes",
                            "64M",        "--shutdown-timeout",
                            "1m",         "--metrics-addr",
                            "off",        "--log-format",
                            "json",       "--log-level",
                            "error",      "--max-value-size",
                            "1MiB",       "--max-transaction-size",
                            "64MiB",      "--max-checks",
                            "65535",      "--tls-cert",
                            "c.pem",      "--tls-key",
                            "k.pem",      "--read-only"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->data_dir, "d");
  EXPECT_EQ(options->address, "[::1]:0");
  EXPECT_EQ(options->public_url, "https://x");
  EXPECT_EQ(options->tls_chain_path, "c.pem");
  EXPECT_EQ(options->tls_key_path, "k.pem");
  EXPECT_TRUE(options->read_only);
  EXPECT_EQ(options->retention, Retention::none());
  EXPECT_EQ(options->history_max_bytes, uint64_t{4} << 30);
  EXPECT_EQ(options->block_cache_bytes, uint64_t{64} << 20);
  EXPECT_EQ(options->shutdown_timeout_ms, 60'000);
  EXPECT_EQ(options->metrics_address, "");
  EXPECT_FALSE(options->metrics_address_is_default);
  EXPECT_EQ(options->log_format, LogFormat::kJson);
  EXPECT_EQ(options->log_level, LogLevel::kError);
  EXPECT_EQ(options->limits.max_value_bytes, size_t{1} << 20);
  EXPECT_EQ(options->limits.max_transaction_bytes, size_t{64} << 20);
  EXPECT_EQ(options->limits.max_checks, 65'535u);
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
  EXPECT_NE(refusal({"serve"}).find("an access token is needed"), std::string::npos);
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
                             "--public-url", "--shutdown-timeout", "--metrics-addr", "--log-format",
                             "--log-level", "--max-value-size", "--max-transaction-size", "--max-checks"}) {
    const std::string message = refusal({"serve", "--access-token", kToken, option, "nonsense"});
    EXPECT_TRUE(message.starts_with(option)) << message;
  }
  EXPECT_NE(refusal({"serve", "--no-such-option"}), "");
  EXPECT_NE(refusal({"serve", "extra"}), "");
  EXPECT_NE(refusal({}), "");
  EXPECT_NE(refusal({"swerve"}), "");
}

TEST_F(ServeCommand, CertificateAndKeyGoTogether) {
  EXPECT_EQ(refusal({"serve", "--access-token", kToken, "--tls-cert", "c.pem"}),
            "--tls-cert needs --tls-key beside it");
  EXPECT_EQ(refusal({"serve", "--access-token", kToken, "--tls-key", "k.pem"}),
            "--tls-key needs --tls-cert beside it");
}

TEST_F(ServeCommand, LimitsAtTheirBounds) {
  const auto with = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"serve", "--access-token", kToken});
    return words;
  };
  EXPECT_EQ(refusal(with({"--max-transaction-size", "67108864", "--max-value-size", "67108864"})), "");
  EXPECT_EQ(refusal(with({"--max-transaction-size", "67108865"})),
            "--max-transaction-size: '67108865' is too large: at most 64 MiB");
  EXPECT_EQ(refusal(with({"--max-transaction-size", "0"})),
            "--max-transaction-size: '0' is too small: at least 1 bytes");
  EXPECT_EQ(refusal(with({"--max-value-size", "800KiB"})), "");
  EXPECT_EQ(
      refusal(with({"--max-value-size", "819201"})),
      "--max-value-size: values of 819201 do not fit in a transaction of --max-transaction-size 800KiB");
  EXPECT_EQ(refusal(with({"--max-transaction-size", "65535"})),
            "--max-value-size: values of 64KiB do not fit in a transaction of --max-transaction-size 65535");
  EXPECT_EQ(refusal(with({"--max-checks", "0"})), "");
  EXPECT_EQ(refusal(with({"--max-checks", "65536"})), "--max-checks: '65536' is not between 0 and 65535");
}

TEST_F(ServeCommand, WordsOfDenokv) {
  const auto options =
      run({"serve", "--access-token", kToken, "--num-workers", "4", "--atomic-write-batch-timeout-ms", "5"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->warnings,
            (std::vector<std::string>{"--num-workers has no effect here and is ignored",
                                      "--atomic-write-batch-timeout-ms has no effect here and is ignored"}));
  EXPECT_TRUE(
      refusal({"--sqlite-path", "x.db", "serve", "--access-token", kToken}).starts_with("--sqlite-path: "));
  EXPECT_TRUE(refusal({"serve", "--sqlite-path", "x.db"}).starts_with("--sqlite-path: "));
}

}  // namespace
}  // namespace tidemark::tools
