// Many databases and many tokens behind one server.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "engine/io/sync.h"
#include "server/connect/service.h"
#include "server/connect/wire.h"
#include "tests/server/connect/answer.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::connect {
namespace {

constexpr char kToken[] = "the token of the test";
constexpr char kNoDatabase[] = "There is no database at this URL that this access token opens.";

class DatabasesTest : public ::testing::Test {
 protected:
  DatabasesTest() : engine_(Engine::create({}, {})) { start(); }
  ~DatabasesTest() override { stop(); }

  void start() {
    host::HostOptions options;
    options.data_dir = folder_.path();
    options.access_token = kToken;
    options.open_at_start = 0;
    auto host = host::Host::open(*engine_, options);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
    service_ = std::make_unique<Service>(*host_, ServiceOptions());
  }
  void stop() {
    EXPECT_EQ(service_->wait_until_idle(10'000'000), 0);
    service_.reset();
    EXPECT_TRUE(host_->close().has_value());
    host_.reset();
  }

  Answer answer(const Call& call) { return test::answer_of(*service_, call); }

  Answer metadata(const std::string& path, const std::string& token) {
    const std::string authorization = "Bearer " + token;
    Call call;
    call.method = "POST";
    call.path = path;
    call.host = "localhost:4512";
    call.authorization = authorization;
    call.body = R"({"supportedVersions":[2,3]})";
    return answer(call);
  }

  // What a client keeps of a metadata exchange.
  struct Client {
    std::string authorization;
    std::string database_id;
  };
  Client connect(const std::string& path, const std::string& token) {
    const Answer given = metadata(path, token);
    EXPECT_EQ(given.status, 200) << given.body;
    if (given.status != 200) return {};
    const boost::json::object json = boost::json::parse(given.body).as_object();
    EXPECT_EQ(json.at("endpoints").as_array()[0].at("url"), "/v2");
    return {"Bearer " + std::string(json.at("token").as_string()),
            std::string(json.at("databaseId").as_string())};
  }

  Answer data_call(const Client& client, const std::string& path, const std::string& body) {
    Call call;
    call.method = "POST";
    call.path = path;
    call.authorization = client.authorization;
    call.database_id = client.database_id;
    call.protocol_version = "3";
    call.body = body;
    return answer(call);
  }
  Answer set(const Client& client, const std::string& key, const std::string& data) {
    pb::AtomicWrite message;
    auto* mutation = message.add_mutations();
    mutation->set_key(key);
    mutation->set_mutation_type(pb::M_SET);
    mutation->mutable_value()->set_data(data);
    mutation->mutable_value()->set_encoding(pb::VE_BYTES);
    return data_call(client, "/v2/atomic_write", message.SerializeAsString());
  }
  void expect_set(const Client& client, const std::string& key, const std::string& data) {
    const Answer given = set(client, key, data);
    EXPECT_EQ(given.status, 200) << given.body;
    pb::AtomicWriteOutput out;
    EXPECT_TRUE(out.ParseFromString(given.body));
    EXPECT_EQ(out.status(), pb::AW_SUCCESS);
  }
  Answer read(const Client& client, const std::string& key) {
    pb::SnapshotRead message;
    auto* range = message.add_ranges();
    range->set_start(key);
    range->set_end(key + '\0');
    range->set_limit(1);
    return data_call(client, "/v2/snapshot_read", message.SerializeAsString());
  }
  std::string get(const Client& client, const std::string& key) {
    const Answer given = read(client, key);
    EXPECT_EQ(given.status, 200) << given.body;
    pb::SnapshotReadOutput out;
    EXPECT_TRUE(out.ParseFromString(given.body));
    return out.ranges_size() == 1 && out.ranges(0).values_size() == 1 ? out.ranges(0).values(0).value() : "";
  }

  std::string create(const std::string& name) {
    const auto made = host_->create_database(name);
    EXPECT_TRUE(made.has_value());
    return made->id.text();
  }
  host::NewToken create_token(host::TokenRequest request) {
    auto made = host_->create_token(request);
    EXPECT_TRUE(made.has_value());
    return *std::move(made);
  }

  static void expect_text(const Answer& answer, int status, std::string_view text) {
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, text);
    EXPECT_TRUE(answer.content_type.starts_with("text/plain"));
  }

  test::TempFolder folder_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<Service> service_;
};

TEST_F(DatabasesTest, EachByItsUrls) {
  const std::string id = create("orders");
  const std::string default_id = host_->id_of("default")->text();
  EXPECT_EQ(connect("/", kToken).database_id, default_id);
  EXPECT_EQ(connect("/db/default", kToken).database_id, default_id);
  EXPECT_EQ(connect("/db/orders", kToken).database_id, id);
  EXPECT_EQ(connect("/databases/" + id + "/connect", kToken).database_id, id);

  expect_set(connect("/db/orders", kToken), "k", "of orders");
  expect_set(connect("/", kToken), "k", "of default");
  EXPECT_EQ(get(connect("/databases/" + id + "/connect", kToken), "k"), "of orders");
  EXPECT_EQ(get(connect("/db/default", kToken), "k"), "of default");
}

TEST_F(DatabasesTest, UrlsThatNameNoDatabase) {
  for (const std::string path : {"/db/none", "/db/ORDERS", "/db/a%2fb", "/db/..", "/databases/none/connect",
                                 "/databases/01234567-89ab-4def-8123-456789abcdef/connect"}) {
    expect_text(metadata(path, kToken), 404, kNoDatabase);
    expect_text(metadata(path, "a stranger's token"), 401, "Invalid access token.");
  }
  expect_text(metadata("/db/" + std::string(300, 'x'), kToken), 404, kNoDatabase);
  for (const std::string path :
       {"/db", "/db/", "/db/a/b", "/db/default/", "/databases", "/databases/", "/databases//connect",
        "/databases/connect", "/databases/a/b/connect", "/databases/x/connect/", "/connect"}) {
    expect_text(metadata(path, kToken), 404, "Resource not found.");
  }
}

TEST_F(DatabasesTest, ATokenOpensItsDatabasesOnly) {
  const std::string a = create("a");
  const std::string b = create("b");
  const std::string token = create_token({{"a"}, false, host::Rights::kReadWrite, ""}).secret;
  const Client client = connect("/db/a", token);
  expect_set(client, "k", "v");

  // What it does not open looks like what is not there.
  for (const std::string& path :
       {std::string("/"), std::string("/db/b"), std::string("/db/none"), "/databases/" + b + "/connect",
        std::string("/databases/01234567-89ab-4def-8123-456789abcdef/connect")}) {
    expect_text(metadata(path, token), 404, kNoDatabase);
  }
  for (const std::string& id : {b, std::string("01234567-89ab-4def-8123-456789abcdef")}) {
    expect_text(read({client.authorization, id}, "k"), 400, "Invalid database id.");
  }
}

TEST_F(DatabasesTest, AReadOnlyTokenReads) {
  const Client writer = connect("/", kToken);
  expect_set(writer, "k", "v");
  const Client reader = connect("/", create_token({{}, true, host::Rights::kReadOnly, ""}).secret);
  EXPECT_EQ(get(reader, "k"), "v");
  const Answer refused = set(reader, "k", "w");
  EXPECT_EQ(refused.status, 200);
  EXPECT_EQ(refused.content_type, "application/x-protobuf");
  EXPECT_EQ(refused.body, write_disabled());
  EXPECT_EQ(get(writer, "k"), "v");
}

TEST_F(DatabasesTest, ARevokedTokenStopsAtOnce) {
  const host::NewToken token = create_token({{"default"}, false, host::Rights::kReadWrite, ""});
  const Client client = connect("/", token.secret);
  expect_set(client, "k", "v");
  ASSERT_TRUE(host_->revoke_token(token.record.grant.token).has_value());
  expect_text(metadata("/", token.secret), 401, "Invalid access token.");
  expect_text(set(client, "k", "w"), 401, "Invalid access token.");
  expect_text(read(client, "k"), 401, "Invalid access token.");
  EXPECT_EQ(get(connect("/", kToken), "k"), "v");
}

TEST_F(DatabasesTest, ADeletedDatabaseInUse) {
  create("a");
  const Client client = connect("/db/a", kToken);
  expect_set(client, "k", "v");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  expect_text(set(client, "k", "w"), 404, "This database was deleted.");
  expect_text(read(client, "k"), 404, "This database was deleted.");
  expect_text(metadata("/db/a", kToken), 404, kNoDatabase);
  // Another of its name is another one.
  create("a");
  expect_text(read(client, "k"), 404, "This database was deleted.");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  ASSERT_TRUE(host_->undelete_database(client.database_id).has_value());
  EXPECT_EQ(get(client, "k"), "v");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  ASSERT_TRUE(host_->purge_database(client.database_id).has_value());
  expect_text(read(client, "k"), 404, "This database was deleted.");
}

TEST_F(DatabasesTest, AClosedDatabaseIsOpenedByItsFirstCall) {
  const std::string id = create("a");
  const Client client = connect("/db/a", kToken);
  expect_set(client, "k", "v");
  stop();
  start();
  EXPECT_FALSE(host_->find("a"));
  connect("/db/a", kToken);
  EXPECT_FALSE(host_->find("a"));  // metadata exchange does not need it
  EXPECT_EQ(get(client, "k"), "v");
  EXPECT_TRUE(host_->find("a"));

  stop();
  start();
  expect_set(client, "k", "w");
  EXPECT_EQ(get(client, "k"), "w");
}

TEST_F(DatabasesTest, ManyCallsWaitForOneOpening) {
  create("a");
  const Client client = connect("/db/a", kToken);
  stop();
  start();
  pb::AtomicWrite message;
  const std::string body = message.SerializeAsString();
  Mutex mutex;
  CondVar answered;
  int good = 0, all = 0;
  for (int i = 0; i < 100; ++i) {
    Call call;
    call.method = "POST";
    call.path = "/v2/atomic_write";
    call.authorization = client.authorization;
    call.database_id = client.database_id;
    call.protocol_version = "3";
    const std::string gone_when_handled = body;
    call.body = gone_when_handled;
    service_->handle(call, [&](Answer given) {
      MutexLock lock(mutex);
      ++all;
      good += given.status == 200 ? 1 : 0;
      answered.notify_all();
    });
  }
  MutexLock lock(mutex);
  while (all < 100) answered.wait(mutex);
  EXPECT_EQ(good, 100);
}

// A watch ends when its client may not see the database any more.
class WatchEndsTest : public DatabasesTest {
 protected:
  // The next that the source gives which is not "nothing yet".
  PieceSource::Next next(PieceSource& source) {
    for (;;) {
      std::string piece;
      const PieceSource::Next next = source.next(piece);
      if (next != PieceSource::Next::kNothing) return next;
    }
  }
  std::shared_ptr<PieceSource> watch(const Client& client) {
    pb::Watch message;
    message.add_keys()->set_key("k");
    const Answer given = data_call(client, "/v2/watch", message.SerializeAsString());
    EXPECT_EQ(given.status, 200) << given.body;
    return given.source;
  }
};

TEST_F(WatchEndsTest, WithTheDatabase) {
  ASSERT_TRUE(host_->create_database("other").has_value());
  const auto source = watch(connect("/db/other", kToken));
  ASSERT_TRUE(source);
  EXPECT_EQ(next(*source), PieceSource::Next::kPiece);
  ASSERT_TRUE(host_->delete_database("other").has_value());
  EXPECT_EQ(next(*source), PieceSource::Next::kEnd);
}

TEST_F(WatchEndsTest, WithTheToken) {
  const auto token = host_->create_token({.databases = {}, .all_databases = true, .label = ""});
  ASSERT_TRUE(token.has_value());
  const auto source = watch(connect("/", token->secret));
  ASSERT_TRUE(source);
  EXPECT_EQ(next(*source), PieceSource::Next::kPiece);
  ASSERT_TRUE(host_->revoke_token(token->record.grant.token).has_value());
  EXPECT_EQ(next(*source), PieceSource::Next::kEnd);
}

}  // namespace
}  // namespace tidemark::connect
