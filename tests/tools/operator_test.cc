// Health and metrics, over HTTP, of a store whose disk does what the test wants.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>

#include "server/connect/wire.h"
#include "server/http/listener.h"
#include "tests/server/http/client.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/watching_file_system.h"
#include "tests/tools/metrics_text.h"
#include "tools/http_handler.h"

namespace tidemark::tools {
namespace {

using http::test::H2Answer;
using http::test::H2Client;
using http::test::RawClient;
using Op = WatchingFileSystem::Op;

constexpr char kToken[] = "the token of the test";

class OperatorTest : public ::testing::Test {
 protected:
  OperatorTest() {
    EngineComponents components;
    components.file_system = &fs_;
    engine_ = Engine::create({}, components);
    host::HostOptions host_options;
    host_options.data_dir = folder_ / "data";
    host_options.access_token = kToken;
    host_options.database.retention = Retention::none();
    auto host = host::Host::open(*engine_, host_options);
    EXPECT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
    service_ = std::make_unique<connect::Service>(*host_, connect::ServiceOptions());
    health_ = std::make_unique<Health>(*host_);
    metrics_ = std::make_unique<Metrics>(Metrics::Sources{host_.get(), health_.get(), &requests_,
                                                          [this] { return listener_->counters(); },
                                                          host_options.data_dir});
    pages_ = std::make_unique<OperatorPages>(*host_, *health_, *metrics_);
    handler_ = std::make_unique<HttpHandler>(
        HttpHandler::Parts{service_.get(), pages_.get(), &requests_, &engine_->clock(), {}});
    operator_handler_ = std::make_unique<OperatorHandler>(*pages_);
    listener_ = listen(*handler_);
    operator_listener_ = listen(*operator_handler_);
    database_ = host_->find("default");
  }
  ~OperatorTest() override {
    listener_->stop(10'000);
    operator_listener_->stop(10'000);
    EXPECT_EQ(service_->wait_until_idle(10'000'000), 0);
    EXPECT_EQ(pages_->wait_until_idle(10'000'000), 0);
    database_.reset();
    (void)host_->close().has_value();
  }

  static std::unique_ptr<http::Listener> listen(http::Handler& handler) {
    auto listener = http::Listener::create(http::test::quick_options(), handler);
    EXPECT_TRUE(listener.has_value()) << listener.error().message;
    (*listener)->start();
    return std::move(*listener);
  }

  // Over both protocols, which must say the same.
  H2Answer get(const http::Listener& listener, const std::string& path, const std::string& token = "") {
    http::test::H2Request request{.method = "GET", .path = path};
    std::string text = "GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    if (!token.empty()) {
      request.headers.emplace_back("authorization", "Bearer " + token);
      text += "Authorization: Bearer " + token + "\r\n";
    }
    H2Client second(listener.port());
    const H2Answer answer = second.ask(request);
    RawClient first(listener.port());
    EXPECT_TRUE(first.send(text + "\r\n"));
    EXPECT_TRUE(first.receive_to_end());
    EXPECT_TRUE(first.received.starts_with("HTTP/1.1 " + std::to_string(answer.status) + " "))
        << first.received;
    // Figures move.
    if (path != "/metrics" || answer.status != 200) {
      EXPECT_TRUE(first.received.ends_with("\r\n\r\n" + answer.body));
    }
    return answer;
  }
  H2Answer get(const std::string& path, const std::string& token = "") {
    return get(*listener_, path, token);
  }
  MetricsText metrics() { return parse_metrics(get(*operator_listener_, "/metrics").body); }

  H2Answer post(const std::string& path, const std::string& body) {
    const auto issued = host_->issue(*host_->authenticate(kToken), database_->id());
    H2Client client(listener_->port());
    return client.ask({.path = path,
                       .body = body,
                       .headers = {{"authorization", "Bearer " + issued.token},
                                   {"x-denokv-database-id", database_->id_text()},
                                   {"x-denokv-version", "3"}}});
  }
  H2Answer set(const std::string& key) {
    namespace pb = connect::pb;
    pb::AtomicWrite write;
    auto* mutation = write.add_mutations();
    mutation->set_key(key);
    mutation->set_mutation_type(pb::M_SET);
    mutation->mutable_value()->set_data("value");
    mutation->mutable_value()->set_encoding(pb::VE_BYTES);
    return post("/v2/atomic_write", write.SerializeAsString());
  }

  TemporaryFolder folder_;
  WatchingFileSystem fs_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<connect::Service> service_;
  std::unique_ptr<Health> health_;
  RequestMetrics requests_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<OperatorPages> pages_;
  std::unique_ptr<HttpHandler> handler_;
  std::unique_ptr<OperatorHandler> operator_handler_;
  std::unique_ptr<http::Listener> listener_;
  std::unique_ptr<http::Listener> operator_listener_;
  std::shared_ptr<host::HostedDatabase> database_;
};

TEST_F(OperatorTest, AHealthyServerSaysSoAndNothingElse) {
  for (const http::Listener* listener : {listener_.get(), operator_listener_.get()}) {
    for (const char* path : {"/healthz", "/readyz"}) {
      const H2Answer answer = get(*listener, path);
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.body, "ok");
    }
  }
  EXPECT_EQ(get("/healthz/").status, 404);
  EXPECT_EQ(get("/").status, 404);
  EXPECT_EQ(get(*operator_listener_, "/").status, 404);
  H2Client client(listener_->port());
  EXPECT_EQ(client.ask({.method = "POST", .path = "/healthz"}).status, 404);
}

TEST_F(OperatorTest, NotReadyWhileStopping) {
  health_->begin_stopping();
  const H2Answer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "stopping");
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(OperatorTest, NotReadyAfterAFailedSync) {
  EXPECT_EQ(set("a").status, 200);
  EXPECT_EQ(metrics().value("tidemark_ready"), 1);
  fs_.fail(Op::kSync, ".wal", ErrorCode::kIo, 0, 1);
  EXPECT_EQ(set("b").status, 503);
  const H2Answer answer = get("/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "read-only");
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(metrics().value("tidemark_ready"), 0);
}

TEST_F(OperatorTest, MetricsNeedATokenOnTheMainPort) {
  EXPECT_EQ(get("/metrics").status, 401);
  EXPECT_EQ(get("/metrics", "the token of another").status, 401);
  // A token for the data path only.
  EXPECT_EQ(get("/metrics", host_->issue(*host_->authenticate(kToken), database_->id()).token).status, 401);
  const H2Answer answer = get("/metrics", kToken);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_FALSE(parse_metrics(answer.body).samples.empty());
  EXPECT_EQ(answer.body.find(kToken), std::string::npos);
}

TEST_F(OperatorTest, MetricsCountRequestsByCallAndStatus) {
  const MetricsText before = metrics();
  EXPECT_EQ(set("a").status, 200);
  EXPECT_EQ(set("b").status, 200);
  EXPECT_EQ(post("/v2/atomic_write", "nonsense").status, 400);
  EXPECT_EQ(post("/v2/snapshot_read", "").status, 200);
  EXPECT_EQ(post("/v2/watch", "\x0a\xff").status, 400);
  EXPECT_EQ(post("/", "{}").status, 401);
  EXPECT_EQ(get("/nothing").status, 404);  // twice
  const MetricsText after = metrics();
  const auto grown = [&](const std::string& sample) { return after.value(sample) - before.value(sample); };
  const auto requests = [&](const std::string& call, const std::string& status) {
    return grown("tidemark_requests_total{call=\"" + call + "\",status=\"" + status + "\"}");
  };
  EXPECT_EQ(requests("atomic_write", "2xx"), 2);
  EXPECT_EQ(requests("atomic_write", "4xx"), 1);
  EXPECT_EQ(requests("snapshot_read", "2xx"), 1);
  EXPECT_EQ(requests("watch", "4xx"), 1);
  EXPECT_EQ(requests("metadata", "4xx"), 1);
  EXPECT_EQ(requests("other", "4xx"), 2);
  EXPECT_EQ(requests("other", "2xx"), 0);
  EXPECT_EQ(grown("tidemark_request_duration_seconds_count{call=\"atomic_write\"}"), 3);
  EXPECT_GT(grown("tidemark_request_duration_seconds_sum{call=\"atomic_write\"}"), 0);
  EXPECT_EQ(grown("tidemark_http_responses_total{status=\"2xx\"}"), 3);
  EXPECT_EQ(grown("tidemark_connections_total"), 8);
  EXPECT_EQ(grown("tidemark_commits_total"), 2);
  EXPECT_EQ(after.value("tidemark_watches"), 0);
  EXPECT_EQ(after.value("tidemark_expired_keys_total"), 0);
  EXPECT_LT(after.value("tidemark_expiry_lag_seconds"), 60);
  EXPECT_EQ(grown("tidemark_commit_group_commits_sum"), 2);
  EXPECT_GE(grown("tidemark_sync_duration_seconds_count"), 1);
}

TEST_F(OperatorTest, MetricsFollowTheEngine) {
  const MetricsText empty = metrics();
  EXPECT_EQ(empty.value("tidemark_databases_open"), 1);
  EXPECT_FALSE(empty.samples.contains("tidemark_horizon_age_seconds"));
  EXPECT_GT(empty.value("tidemark_disk_bytes"), 0);
  EXPECT_GT(empty.value("tidemark_disk_free_bytes"), 0);
  EXPECT_EQ(set("a").status, 200);
  EXPECT_EQ(set("a").status, 200);
  const MetricsText written = metrics();
  EXPECT_GT(written.value("tidemark_wal_bytes"), empty.value("tidemark_wal_bytes"));
  EXPECT_EQ(written.value("tidemark_live_segments{level=\"0\"}"), 0);
  ASSERT_TRUE(database_->database().flush().has_value());
  const MetricsText flushed = metrics();
  EXPECT_EQ(flushed.value("tidemark_flushes_total"), 1);
  EXPECT_EQ(flushed.value("tidemark_live_segments{level=\"0\"}"), 1);
  EXPECT_GT(flushed.value("tidemark_live_bytes{level=\"0\"}"), 0);
  EXPECT_GT(flushed.value("tidemark_change_file_bytes"), 0);
  ASSERT_TRUE(database_->database().compact().has_value());
  const MetricsText compacted = metrics();
  EXPECT_GT(compacted.value("tidemark_compactions_total"), 0);
  EXPECT_EQ(compacted.value("tidemark_live_segments{level=\"0\"}"), 0);
  EXPECT_GE(compacted.value("tidemark_horizon_age_seconds"), 0);
}

TEST_F(OperatorTest, MetricsByDatabase) {
  ASSERT_TRUE(host_->create_database("orders").has_value());
  EXPECT_EQ(set("a").status, 200);
  EXPECT_EQ(set("b").status, 200);
  EXPECT_EQ(get("/metrics/databases").status, 401);
  EXPECT_EQ(get("/metrics/databases", kToken).status, 200);
  const MetricsText text = parse_metrics(get(*operator_listener_, "/metrics/databases").body);
  EXPECT_EQ(text.value("tidemark_database_open{database=\"default\"}"), 1);
  EXPECT_EQ(text.value("tidemark_database_open{database=\"orders\"}"), 0);
  EXPECT_EQ(text.value("tidemark_commits_total{database=\"default\"}"), 2);
  EXPECT_EQ(text.value("tidemark_commits_total{database=\"orders\"}"), 0);
  EXPECT_EQ(text.value("tidemark_sync_duration_seconds_count{database=\"default\"}"), 2);
  EXPECT_EQ(text.value("tidemark_live_segments{database=\"default\",level=\"0\"}"), 0);
  EXPECT_EQ(text.value("tidemark_expired_keys_total{database=\"default\"}"), 0);
  EXPECT_FALSE(text.types.contains("tidemark_requests_total"));
}

TEST(RequestMetricsTest, CallsAreToldByTheEndOfTheirPath) {
  EXPECT_EQ(call_kind("POST", "/v2/snapshot_read"), CallKind::kSnapshotRead);
  EXPECT_EQ(call_kind("POST", "/databases/x/atomic_write"), CallKind::kAtomicWrite);
  EXPECT_EQ(call_kind("POST", "//watch"), CallKind::kWatch);
  EXPECT_EQ(call_kind("POST", "/"), CallKind::kMetadata);
  EXPECT_EQ(call_kind("POST", "/db/name"), CallKind::kMetadata);
  EXPECT_EQ(call_kind("GET", "/v2/watch"), CallKind::kOther);
}

}  // namespace
}  // namespace tidemark::tools
