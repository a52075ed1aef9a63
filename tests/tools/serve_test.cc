// The program as an operator runs it: settings, logs, health and metrics from outside.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/connect/wire.h"
#include "tests/server/http/client.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/metrics_text.h"
#include "tests/tools/server_process.h"

namespace tidemark::tools {
namespace {

using http::test::H2Client;

const std::string kToken = "a-token-that-nobody-should-see";
const std::string kTokenVariable = "DENO_KV_ACCESS_TOKEN=" + kToken;

class ServeTest : public ::testing::Test {
 protected:
  std::vector<std::string> serve(std::vector<std::string> more) {
    more.insert(more.begin(), {"serve", "--data-dir", folder_ / "data", "--addr", "127.0.0.1:0"});
    return more;
  }
  TemporaryFolder folder_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// On a connection of its own, which is closed then: a server that ends need not wait for it.
http::test::H2Answer ask(uint16_t port, const http::test::H2Request& request) {
  return H2Client(port).ask(request);
}

// Its token, or nothing.
std::string exchange(uint16_t port, const std::string& token) {
  const auto answer = ask(port, {.path = "/",
                                 .body = R"({"supportedVersions":[2,3]})",
                                 .headers = {{"authorization", "Bearer " + token}}});
  if (answer.status != 200) return "";
  return std::string(boost::json::parse(answer.body).at("token").as_string());
}

TEST_F(ServeTest, LogsAreJsonLinesAndHoldNoTokens) {
  for (const bool in_environment : {true, false}) {
    std::vector<std::string> arguments = serve({"--metrics-addr", "127.0.0.1:0", "--log-format", "json",
                                                "--log-level", "debug", "--num-workers", "4"});
    if (!in_environment) arguments.insert(arguments.end(), {"--access-token", kToken});
    ServerProcess server(arguments,
                         in_environment ? std::vector{kTokenVariable} : std::vector<std::string>());
    const uint16_t port = server.port_behind("Listening on ");
    ASSERT_NE(port, 0) << server.log;
    const std::string data_token = exchange(port, kToken);
    ASSERT_NE(data_token, "");
    EXPECT_EQ(exchange(port, "another-token-that-is-wrong"), "");
    EXPECT_EQ(ask(port, {.path = "/v2/snapshot_read", .headers = {{"authorization", "Bearer " + data_token}}})
                  .status,
              400);
    EXPECT_EQ(
        ask(port, {.method = "GET", .path = "/metrics", .headers = {{"authorization", "Bearer " + kToken}}})
            .status,
        200);
    EXPECT_EQ(server.end(SIGTERM), 0);
    const std::vector<std::string> lines = lines_of(server.log);
    EXPECT_GE(lines.size(), 7u);
    bool debug = false;
    for (const std::string& line : lines) {
      boost::json::error_code error;
      const boost::json::value event = boost::json::parse(line, error);
      ASSERT_FALSE(error) << line;
      EXPECT_EQ(event.as_object().size(), 3u) << line;
      debug |= event.at("level").as_string() == "debug";
    }
    EXPECT_TRUE(debug);
    for (const std::string& token : {kToken, data_token, std::string("another-token-that-is-wrong")}) {
      EXPECT_EQ(server.log.find(token), std::string::npos) << server.log;
      EXPECT_EQ(server.out.find(token), std::string::npos);
    }
  }
}

TEST_F(ServeTest, HealthAndMetricsFromOutside) {
  ServerProcess server(serve({"--metrics-addr", "127.0.0.1:0"}), {kTokenVariable});
  const uint16_t metrics_port = server.port_behind("Metrics on ");
  const uint16_t port = server.port_behind("Listening on ");
  ASSERT_NE(port, 0) << server.log;
  ASSERT_NE(metrics_port, 0) << server.log;
  EXPECT_EQ(ask(port, {.method = "GET", .path = "/readyz"}).body, "ok");
  EXPECT_EQ(ask(port, {.method = "GET", .path = "/metrics"}).status, 401);
  const MetricsText metrics = parse_metrics(ask(metrics_port, {.method = "GET", .path = "/metrics"}).body);
  EXPECT_EQ(metrics.value("tidemark_ready"), 1);
  EXPECT_EQ(metrics.value("tidemark_connections_total"), 2);
  EXPECT_EQ(server.end(SIGINT), 0);
}

TEST_F(ServeTest, AMetricsAddressThatIsTakenIsAnErrorOnlyIfItWasAskedFor) {
  ServerProcess first(serve({"--metrics-addr", "off"}), {kTokenVariable});
  const uint16_t port = first.port_behind("Listening on ");
  ASSERT_NE(port, 0);
  EXPECT_EQ(first.log.find("Metrics on"), std::string::npos);
  ServerProcess asked({"serve", "--data-dir", folder_ / "second", "--addr", "127.0.0.1:0", "--metrics-addr",
                       "127.0.0.1:" + std::to_string(port)},
                      {kTokenVariable});
  EXPECT_EQ(asked.end(0), 1);
  EXPECT_NE(asked.log.find("tidemark: --metrics-addr: cannot listen on"), std::string::npos) << asked.log;
  // Two servers cannot both have the default.
  ServerProcess third({"serve", "--data-dir", folder_ / "third", "--addr", "127.0.0.1:0"}, {kTokenVariable});
  ServerProcess fourth({"serve", "--data-dir", folder_ / "fourth", "--addr", "127.0.0.1:0"},
                       {kTokenVariable});
  EXPECT_NE(third.port_behind("Listening on "), 0);
  EXPECT_NE(fourth.port_behind("Listening on "), 0);
  EXPECT_NE((third.log + fourth.log).find("no metrics without a token"), std::string::npos);
}

TEST_F(ServeTest, CheckConfigOpensNothing) {
  std::ofstream(folder_ / "good.toml") << "max-checks = 5\n";
  ServerProcess good(serve({"--config", folder_ / "good.toml", "--check-config"}), {kTokenVariable});
  EXPECT_EQ(good.end(0), 0);
  EXPECT_EQ(good.log, "");
  EXPECT_NE(good.out.find("max-checks = 5"), std::string::npos) << good.out;
  EXPECT_EQ(good.out.find(kToken), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data"));

  std::ofstream(folder_ / "bad.toml") << "max-check = 5\naddr = 1\n";
  ServerProcess bad(serve({"--config", folder_ / "bad.toml", "--check-config", "--log-level", "loud"}), {});
  EXPECT_EQ(bad.end(0), 2);
  EXPECT_EQ(bad.out, "");
  const std::vector<std::string> lines = lines_of(bad.log);
  ASSERT_EQ(lines.size(), 4u) << bad.log;
  for (const std::string& line : lines) EXPECT_TRUE(line.starts_with("tidemark: ")) << line;
}

namespace pb = connect::pb;

// A client of the one database.
class Client {
 public:
  explicit Client(uint16_t port) : http_(port) {
    const auto& answer = http_.ask({.path = "/",
                                    .body = R"({"supportedVersions":[2,3]})",
                                    .headers = {{"authorization", "Bearer " + kToken}}});
    const boost::json::value metadata = boost::json::parse(answer.body);
    headers_ = {{"authorization", "Bearer " + std::string(metadata.at("token").as_string())},
                {"x-denokv-database-id", std::string(metadata.at("databaseId").as_string())},
                {"x-denokv-version", "3"}};
  }
  http::test::H2Answer set(const std::string& key, const std::string& data, int checks = 0) {
    pb::AtomicWrite write;
    auto* mutation = write.add_mutations();
    mutation->set_key(key);
    mutation->set_mutation_type(pb::M_SET);
    mutation->mutable_value()->set_data(data);
    mutation->mutable_value()->set_encoding(pb::VE_BYTES);
    for (int i = 0; i < checks; ++i) write.add_checks()->set_key("absent");
    return http_.ask({.path = "/v2/atomic_write", .body = write.SerializeAsString(), .headers = headers_});
  }
  std::string get(const std::string& key) {
    pb::SnapshotRead read;
    auto* range = read.add_ranges();
    range->set_start(key);
    range->set_end(key + '\0');
    range->set_limit(1);
    const auto& answer =
        http_.ask({.path = "/v2/snapshot_read", .body = read.SerializeAsString(), .headers = headers_});
    EXPECT_EQ(answer.status, 200) << answer.body;
    pb::SnapshotReadOutput out;
    EXPECT_TRUE(out.ParseFromString(answer.body));
    if (out.ranges_size() != 1 || out.ranges(0).values_size() != 1) return "";
    return out.ranges(0).values(0).value();
  }

 private:
  H2Client http_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

TEST_F(ServeTest, SizesAndChecksAreWhatTheSettingsSay) {
  ServerProcess server(serve({"--metrics-addr", "off", "--max-value-size", "1000", "--max-transaction-size",
                              "2000", "--max-checks", "200"}),
                       {kTokenVariable});
  const uint16_t port = server.port_behind("Listening on ");
  ASSERT_NE(port, 0) << server.log;
  {
    Client client(port);
    EXPECT_EQ(client.set("k", std::string(1000, 'v')).status, 200);
    EXPECT_EQ(client.set("k", std::string(1001, 'v')).status, 400);
    EXPECT_EQ(client.set("k", "v", 200).status, 200);
    EXPECT_EQ(client.set("k", "v", 201).status, 400);
    EXPECT_EQ(client.set("k", std::string(1000, 'v'), 167).status, 400);
  }
  EXPECT_EQ(server.end(SIGTERM), 0);
}

// Written, read back, and read back after a start.
TEST_F(ServeTest, TheLargestSizesAllowedWork) {
  const std::vector<std::string> arguments =
      serve({"--metrics-addr", "off", "--max-value-size", "64MiB", "--max-transaction-size", "64MiB"});
  const std::string value((size_t{64} << 20) - 1, 'v');
  for (const bool first : {true, false}) {
    ServerProcess server(arguments, {kTokenVariable});
    const uint16_t port = server.port_behind("Listening on ");
    ASSERT_NE(port, 0) << server.log;
    {
      Client client(port);
      if (first) {
        EXPECT_EQ(client.set("k", value).status, 200);
        EXPECT_EQ(client.set("kk", value).status, 400);
      }
      EXPECT_TRUE(client.get("k") == value);
    }
    EXPECT_EQ(server.end(SIGTERM), 0);
  }
}

}  // namespace
}  // namespace tidemark::tools
