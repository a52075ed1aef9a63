// Whole calls against a store in a folder.
#include "server/connect/service.h"

#include <gtest/gtest.h>

#include "engine/base/coding.h"
#include "engine/base/random.h"
#include "engine/io/sync.h"
#include "server/connect/failure.h"
#include "server/connect/wire.h"
#include "tests/server/connect/answer.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::connect {
namespace {

constexpr char kToken[] = "the token of the test";

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() { start({}); }
  ~ServiceTest() override { stop(); }

  void start(ServiceOptions options) {
    engine_ = Engine::create({}, {});
    host::HostOptions host_options;
    host_options.data_dir = folder_.path();
    host_options.access_token = kToken;
    host_options.limits = limits_;
    host_options.read_only = read_only_;
    auto host = host::Host::open(*engine_, host_options);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
    options.log = [this](LogLevel, std::string_view line) {
      MutexLock lock(log_mutex_);
      log_ += std::string(line) + "\n";
    };
    service_ = std::make_unique<Service>(*host_, std::move(options));
    database_id_ = host_->find("default")->id();
    data_token_ = host_->issue(*host_->authenticate(kToken), database_id_).token;
    id_text_ = database_id_.text();
    authorization_ = "Bearer " + data_token_;
  }
  void stop() {
    EXPECT_EQ(service_->wait_until_idle(10'000'000), 0);
    service_.reset();
    EXPECT_TRUE(host_->close().has_value());
    host_.reset();
    engine_.reset();
  }
  void restart(ServiceOptions options) {
    stop();
    start(std::move(options));
  }

  Answer answer(const Call& call) { return test::answer_of(*service_, call); }

  Call data_call(std::string_view path, std::string_view body) {
    Call call;
    call.method = "POST";
    call.path = path;
    call.authorization = authorization_;
    call.database_id = id_text_;
    call.protocol_version = "3";
    call.body = body;
    return call;
  }

  void expect_text(const Answer& answer, int status, std::string_view text) {
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, text);
    EXPECT_TRUE(answer.content_type.starts_with("text/plain"));
  }

  pb::AtomicWriteOutput write(const pb::AtomicWrite& message) {
    const std::string body = message.SerializeAsString();
    const Answer given = answer(data_call("/v2/atomic_write", body));
    EXPECT_EQ(given.status, 200) << given.body;
    EXPECT_EQ(given.content_type, "application/x-protobuf");
    pb::AtomicWriteOutput out;
    EXPECT_TRUE(out.ParseFromString(given.body));
    return out;
  }
  pb::AtomicWriteOutput set(const std::string& key, const std::string& data) {
    pb::AtomicWrite message;
    add_set(message, key, data);
    return write(message);
  }
  static void add_set(pb::AtomicWrite& message, const std::string& key, const std::string& data) {
    auto* mutation = message.add_mutations();
    mutation->set_key(key);
    mutation->set_mutation_type(pb::M_SET);
    mutation->mutable_value()->set_data(data);
    mutation->mutable_value()->set_encoding(pb::VE_BYTES);
  }
  static void add_range(pb::SnapshotRead& message, const std::string& start, const std::string& end,
                        int limit, bool reverse = false) {
    auto* range = message.add_ranges();
    range->set_start(start);
    range->set_end(end);
    range->set_limit(limit);
    range->set_reverse(reverse);
  }
  pb::SnapshotReadOutput read(const pb::SnapshotRead& message) {
    const std::string body = message.SerializeAsString();
    const Answer given = answer(data_call("/v2/snapshot_read", body));
    EXPECT_EQ(given.status, 200) << given.body;
    EXPECT_EQ(given.content_type, "application/x-protobuf");
    pb::SnapshotReadOutput out;
    EXPECT_TRUE(out.ParseFromString(given.body));
    EXPECT_EQ(out.status(), pb::SR_SUCCESS);
    EXPECT_TRUE(out.read_is_strongly_consistent());
    EXPECT_EQ(out.ranges_size(), message.ranges_size());
    return out;
  }

  std::string log() {
    MutexLock lock(log_mutex_);
    return log_;
  }

  test::TempFolder folder_;
  bool read_only_ = false;
  kv::Limits limits_;
  Mutex log_mutex_;
  std::string log_ TM_GUARDED_BY(log_mutex_);
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<Service> service_;
  host::Uuid database_id_;
  std::string data_token_, id_text_, authorization_;
};

Call metadata_call(std::string_view authorization, std::string_view body) {
  Call call;
  call.method = "POST";
  call.path = "/";
  call.host = "localhost:4512";
  call.authorization = authorization;
  call.body = body;
  return call;
}

const std::string kAuthorization = std::string("Bearer ") + kToken;

TEST_F(ServiceTest, MetadataExchange) {
  for (const int version : {2, 3}) {
    const std::string body = "{\"supportedVersions\":[1," + std::to_string(version) + "]}";
    const Answer given = answer(metadata_call(kAuthorization, body));
    EXPECT_EQ(given.status, 200);
    EXPECT_EQ(given.content_type, "application/json");
    EXPECT_TRUE(given.body.starts_with("{\"version\":" + std::to_string(version) + ",\"databaseId\":\"" +
                                       id_text_ + "\""));
    EXPECT_TRUE(given.body.ends_with("\"endpoints\":[{\"url\":\"/v2\",\"consistency\":\"strong\"}]}"))
        << given.body;
  }
}

TEST_F(ServiceTest, TheTokenOfTheMetadataOpensTheDataPath) {
  const Answer given = answer(metadata_call(kAuthorization, R"({"supportedVersions":[3]})"));
  const size_t start = given.body.find("\"token\":\"") + 9;
  authorization_ = "Bearer " + given.body.substr(start, given.body.find('"', start) - start);
  EXPECT_EQ(set("k", "v").status(), pb::AW_SUCCESS);
  // And still does after a restart.
  const std::string kept = authorization_;
  restart({});
  authorization_ = kept;
  EXPECT_EQ(set("k", "w").status(), pb::AW_SUCCESS);
}

TEST_F(ServiceTest, VersionOneGetsAbsoluteUrls) {
  Call call = metadata_call(kAuthorization, "");
  EXPECT_NE(answer(call).body.find(R"("url":"http://localhost:4512/v2")"), std::string::npos);
  call.secure = true;
  EXPECT_NE(answer(call).body.find(R"("url":"https://localhost:4512/v2")"), std::string::npos);
  call.host = "";
  EXPECT_EQ(answer(call).status, 400);
  call.host = "evil\"host";
  EXPECT_EQ(answer(call).status, 400);
}

TEST_F(ServiceTest, ThePublicUrlGoesBeforeTheHost) {
  ServiceOptions options;
  options.public_url = "https://kv.example.org/base";
  restart(std::move(options));
  for (const char* body : {"", R"({"supportedVersions":[3]})"}) {
    EXPECT_NE(
        answer(metadata_call(kAuthorization, body)).body.find(R"("url":"https://kv.example.org/base/v2")"),
        std::string::npos);
  }
}

TEST_F(ServiceTest, MetadataRefusals) {
  const std::string body = R"({"supportedVersions":[3]})";
  for (const char* malformed : {"", "Bearer", "Bearer ", "Basic abcdef", "the token of the test"}) {
    expect_text(answer(metadata_call(malformed, body)), 401, "Malformed authorization header.");
  }
  expect_text(answer(metadata_call("Bearer another token, as long", body)), 401, "Invalid access token.");
  // A data-path token is no access token.
  expect_text(answer(metadata_call(authorization_, body)), 401, "Invalid access token.");
  expect_text(
      answer(metadata_call(kAuthorization, R"({"supportedVersions":[4]})")), 400,
      "The server could not negotiate a protocol version. The server requires protocol version 2 or 3.");
  EXPECT_EQ(answer(metadata_call(kAuthorization, "{")).status, 400);
  EXPECT_EQ(answer(metadata_call("bearer the token of the test", body)).status, 200);
}

TEST_F(ServiceTest, Routes) {
  pb::SnapshotRead message;
  add_range(message, "a", "b", 1);
  const std::string body = message.SerializeAsString();
  for (const char* path : {"/v2/snapshot_read", "//snapshot_read", "/snapshot_read"}) {
    EXPECT_EQ(answer(data_call(path, body)).status, 200) << path;
  }
  for (const char* path : {"/v2", "/v2/", "/v3/snapshot_read", "/v2/snapshot_read/", "/v2/x",
                           "/x/snapshot_read", "///snapshot_read", "/v2//snapshot_read", "/metadata", "//"}) {
    expect_text(answer(data_call(path, body)), 404, "Resource not found.");
  }
  for (const char* method : {"GET", "PUT", "HEAD", "post", ""}) {
    Call call = data_call("/v2/snapshot_read", body);
    call.method = method;
    expect_text(answer(call), 404, "Resource not found.");
    call.path = "/";
    expect_text(answer(call), 404, "Resource not found.");
  }
}

TEST_F(ServiceTest, DataPathHeaders) {
  pb::SnapshotRead message;
  const std::string body = message.SerializeAsString();
  Call call = data_call("/v2/snapshot_read", body);
  EXPECT_EQ(answer(call).status, 200);
  call.authorization = "";
  expect_text(answer(call), 401, "Malformed authorization header.");
  call.authorization = kAuthorization;  // the access token does not open the data path
  expect_text(answer(call), 401, "Invalid access token.");
  const std::string truncated = authorization_.substr(0, authorization_.size() - 1);
  call.authorization = truncated;
  expect_text(answer(call), 401, "Invalid access token.");

  call = data_call("/v2/snapshot_read", body);
  for (const char* version : {"1", "4", "x", "33"}) {
    call.protocol_version = version;
    expect_text(answer(call), 400, "Expected protocol version 2.");
  }
  for (const char* version : {"", "2", "3"}) {
    call.protocol_version = version;
    EXPECT_EQ(answer(call).status, 200);
  }
  for (const char* id : {"", "default", "01234567-89ab-4def-8123-456789abcdef"}) {
    call.database_id = id;
    expect_text(answer(call), 400, "Invalid database id.");
  }
}

TEST_F(ServiceTest, ATokenOpensItsOwnDatabaseOnly) {
  const host::Uuid other = host::random_uuid();
  const std::string token = "Bearer " + host_->issue(*host_->authenticate(kToken), other).token;
  pb::SnapshotRead message;
  Call call = data_call("/v2/snapshot_read", "");
  call.authorization = token;
  expect_text(answer(call), 400, "Invalid database id.");
  // Of one that is not there (any more) it may know.
  const std::string other_text = other.text();
  call.database_id = other_text;
  expect_text(answer(call), 404, "This database was deleted.");
}

TEST_F(ServiceTest, WritesAndReads) {
  const auto first = set("a", "1");
  EXPECT_EQ(first.status(), pb::AW_SUCCESS);
  EXPECT_EQ(first.versionstamp().size(), 10u);
  const auto second = set("b", "2");
  EXPECT_GT(second.versionstamp(), first.versionstamp());
  pb::SnapshotRead message;
  add_range(message, "a", "z", 10);
  add_range(message, "a", "z", 1, true);
  add_range(message, "c", "d", 1);
  const auto out = read(message);
  ASSERT_EQ(out.ranges(0).values_size(), 2);
  EXPECT_EQ(out.ranges(0).values(0).key(), "a");
  EXPECT_EQ(out.ranges(0).values(0).value(), "1");
  EXPECT_EQ(out.ranges(0).values(0).encoding(), pb::VE_BYTES);
  EXPECT_EQ(out.ranges(0).values(0).versionstamp(), first.versionstamp());
  ASSERT_EQ(out.ranges(1).values_size(), 1);
  EXPECT_EQ(out.ranges(1).values(0).key(), "b");
  EXPECT_EQ(out.ranges(2).values_size(), 0);
}

TEST_F(ServiceTest, FailedChecks) {
  const auto stamp = set("k", "v").versionstamp();
  pb::AtomicWrite message;
  message.add_checks()->set_key("k");  // must be absent: fails
  auto* holds = message.add_checks();
  holds->set_key("k");
  holds->set_versionstamp(stamp);
  message.add_checks()->set_key("k");
  add_set(message, "k", "w");
  const auto out = write(message);
  EXPECT_EQ(out.status(), pb::AW_CHECK_FAILURE);
  EXPECT_EQ(out.versionstamp(), "");
  ASSERT_EQ(out.failed_checks_size(), 2);
  EXPECT_EQ(out.failed_checks(0), 0u);
  EXPECT_EQ(out.failed_checks(1), 2u);
}

TEST_F(ServiceTest, EveryFieldOfAMutationReachesTheStore) {
  const std::string two("\xff\x0fN\0\0\0\0\0\0\0@", 11);
  const std::string three("\xff\x0fN\0\0\0\0\0\0\x08@", 11);
  pb::AtomicWrite message;
  add_set(message, "sum", two);
  message.mutable_mutations(0)->mutable_value()->set_encoding(pb::VE_V8);
  *message.add_mutations() = message.mutations(0);
  auto* sum = message.mutable_mutations(1);
  sum->set_mutation_type(pb::M_SUM);
  sum->set_sum_min(two);
  sum->set_sum_max(three);
  sum->set_sum_clamp(true);
  add_set(message, "suffixed", "x");
  message.mutable_mutations(2)->set_mutation_type(pb::M_SET_SUFFIX_VERSIONSTAMPED_KEY);
  add_set(message, "expired", "x");
  message.mutable_mutations(3)->set_expire_at_ms(1);
  auto* enqueue = message.add_enqueues();
  enqueue->set_payload("p");
  enqueue->set_deadline_ms(5);
  enqueue->add_keys_if_undelivered("k");
  enqueue->add_backoff_schedule(100);
  const auto out = write(message);
  ASSERT_EQ(out.status(), pb::AW_SUCCESS);
  pb::SnapshotRead all;
  add_range(all, "", "\xff", 10);
  const auto found = read(all).ranges(0);
  ASSERT_EQ(found.values_size(), 2);
  EXPECT_TRUE(found.values(0).key().starts_with("suffixed\x02"));
  EXPECT_EQ(found.values(0).key().size(), 8u + 22);
  EXPECT_EQ(found.values(1).key(), "sum");
  EXPECT_EQ(found.values(1).value(), three);

  // A rule that depends on what is stored: 400, and nothing is written.
  sum->set_sum_clamp(false);
  const std::string body = message.SerializeAsString();
  const Answer refused = answer(data_call("/v2/atomic_write", body));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, "The result of a Sum operation would exceed its range limit");
  EXPECT_EQ(read(all).ranges(0).values_size(), 2);
}

// The messages of a watch, taken out of its frames.
std::vector<pb::WatchOutput> watch_messages(std::string_view frames) {
  std::vector<pb::WatchOutput> messages;
  while (frames.size() >= 4) {
    const uint32_t size = load_le32(frames.data());
    frames.remove_prefix(4);
    EXPECT_LE(size, frames.size());
    EXPECT_TRUE(messages.emplace_back().ParseFromString(std::string(frames.substr(0, size))));
    frames.remove_prefix(size);
  }
  EXPECT_TRUE(frames.empty());
  return messages;
}

TEST_F(ServiceTest, WatchStreamsMessages) {
  pb::AtomicWrite first;
  add_set(first, "a", "1");
  const auto stamp = write(first).versionstamp();
  pb::Watch message;
  message.add_keys()->set_key("a");
  message.add_keys()->set_key("b");
  const std::string body = message.SerializeAsString();
  Call call = data_call("/v2/watch", body);
  std::atomic<int> woken{0};
  struct Waking final : Carrier {
    explicit Waking(std::atomic<int>& count) : count(count) {}
    void reserve(uint64_t) override {}
    std::function<void()> waker() override {
      return [this] { ++count; };
    }
    std::atomic<int>& count;
  } carrier(woken);
  call.carrier = &carrier;
  Answer given = answer(call);
  EXPECT_EQ(given.status, 200);
  EXPECT_EQ(given.content_type, "application/octet-stream");
  EXPECT_EQ(given.keep_alive, std::string_view("\0\0\0\0", 4));
  ASSERT_TRUE(given.source);

  std::string piece;
  ASSERT_EQ(given.source->next(piece), PieceSource::Next::kPiece);
  auto messages = watch_messages(piece);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].status(), pb::SR_SUCCESS);
  ASSERT_EQ(messages[0].keys_size(), 2);
  EXPECT_TRUE(messages[0].keys(0).changed());
  EXPECT_EQ(messages[0].keys(0).entry_if_changed().key(), "a");
  EXPECT_EQ(messages[0].keys(0).entry_if_changed().value(), "1");
  EXPECT_EQ(messages[0].keys(0).entry_if_changed().encoding(), pb::VE_BYTES);
  EXPECT_EQ(messages[0].keys(0).entry_if_changed().versionstamp(), stamp);
  EXPECT_TRUE(messages[0].keys(1).changed());
  EXPECT_FALSE(messages[0].keys(1).has_entry_if_changed());
  piece.clear();
  EXPECT_EQ(given.source->next(piece), PieceSource::Next::kNothing);
  EXPECT_EQ(woken, 0);

  pb::AtomicWrite second;
  add_set(second, "b", "2");
  write(second);
  EXPECT_EQ(woken, 1);
  ASSERT_EQ(given.source->next(piece), PieceSource::Next::kPiece);
  messages = watch_messages(piece);
  ASSERT_EQ(messages.size(), 1u);
  // Deno takes a key that is said to be unchanged for absent.
  EXPECT_TRUE(messages[0].keys(0).changed());
  EXPECT_EQ(messages[0].keys(0).entry_if_changed().value(), "1");
  EXPECT_EQ(messages[0].keys(1).entry_if_changed().value(), "2");

  EXPECT_GE(service_->wait_until_idle(0), 1);
  given.source.reset();
  EXPECT_EQ(service_->wait_until_idle(10'000'000), 0);
}

// A frame too large for the network thread is made on the read lane, and says how much room it will take.
TEST_F(ServiceTest, AWatchSaysHowLargeAFrameInMakingMayBecome) {
  set("k", std::string(1000, 'v'));
  ServiceOptions options;
  options.inline_read_bytes = 100;
  restart(std::move(options));
  pb::Watch message;
  message.add_keys()->set_key("k");
  message.add_keys()->set_key("l");
  const std::string body = message.SerializeAsString();
  struct Waking final : Carrier {
    void reserve(uint64_t) override {}
    std::function<void()> waker() override {
      return [this] {
        MutexLock lock(mutex);
        woken = true;
        called.notify_all();
      };
    }
    Mutex mutex;
    CondVar called;
    bool woken TM_GUARDED_BY(mutex) = false;
  } carrier;
  Call call = data_call("/v2/watch", body);
  call.carrier = &carrier;
  Answer given = answer(call);
  ASSERT_TRUE(given.source);
  EXPECT_EQ(given.source->bytes_in_making(), 0u);
  std::string piece;
  ASSERT_EQ(given.source->next(piece), PieceSource::Next::kNothing);
  const kv::Limits& limits = host_->limits();
  EXPECT_GE(given.source->bytes_in_making(), 2 * (limits.max_write_key_bytes + limits.max_value_bytes));
  {
    MutexLock lock(carrier.mutex);
    while (!carrier.woken) carrier.called.wait(carrier.mutex);
  }
  // The frame is there, but nobody has taken it yet.
  EXPECT_GT(given.source->bytes_in_making(), 0u);
  ASSERT_EQ(given.source->next(piece), PieceSource::Next::kPiece);
  EXPECT_EQ(watch_messages(piece).at(0).keys(0).entry_if_changed().value(), std::string(1000, 'v'));
  EXPECT_EQ(given.source->bytes_in_making(), 0u);
  piece.clear();
  EXPECT_EQ(given.source->next(piece), PieceSource::Next::kNothing);
  EXPECT_EQ(given.source->bytes_in_making(), 0u);
  given.source.reset();
  EXPECT_EQ(service_->wait_until_idle(10'000'000), 0);
}

TEST_F(ServiceTest, AReadOnlyServerReadsAndWatchesAndSaysThatWritesAreDisabled) {
  set("k", "v");
  read_only_ = true;
  restart({});
  pb::AtomicWrite message;
  add_set(message, "k", "w");
  EXPECT_EQ(write(message).status(), pb::AW_WRITE_DISABLED);
  pb::SnapshotRead all;
  add_range(all, "", "\xff", 10);
  EXPECT_EQ(read(all).ranges(0).values(0).value(), "v");
  pb::Watch watch;
  watch.add_keys()->set_key("k");
  const std::string body = watch.SerializeAsString();
  EXPECT_TRUE(answer(data_call("/v2/watch", body)).source);
}

TEST_F(ServiceTest, WatchRefusesWhatItCannotDo) {
  const auto refusal = [&](const std::string& body) {
    const Answer given = answer(data_call("/v2/watch", body));
    EXPECT_EQ(given.source, nullptr);
    EXPECT_EQ(given.status, 400);
    return given.body;
  };
  pb::Watch message;
  for (int i = 0; i < 11; ++i) message.add_keys()->set_key("k");
  EXPECT_EQ(refusal(message.SerializeAsString()), "Too many keys watched in a single watch request.");
  message.Clear();
  message.add_keys()->set_key(std::string(2050, 'k'));
  EXPECT_EQ(refusal(message.SerializeAsString()), "A key exceeds the key size limit.");
  EXPECT_TRUE(refusal("\x0a\xff").starts_with("Request protobuf is invalid: "));
}

TEST_F(ServiceTest, EveryTruncationIsAnsweredAndNeverFails) {
  pb::AtomicWrite write;
  auto* check = write.add_checks();
  check->set_key("check");
  check->set_versionstamp("0123456789");
  add_set(write, "key", "data of some length");
  write.mutable_mutations(0)->set_expire_at_ms(-1);
  const std::string write_body = write.SerializeAsString();
  pb::SnapshotRead read;
  add_range(read, "start", "end", 100, true);
  add_range(read, "start", "end", 300, false);
  const std::string read_body = read.SerializeAsString();

  for (const auto& [path, body] :
       {std::pair{"/v2/atomic_write", write_body}, std::pair{"/v2/snapshot_read", read_body}}) {
    int refused = 0;
    for (size_t size = 0; size < body.size(); ++size) {
      const std::string part = body.substr(0, size);
      const Answer given = answer(data_call(path, part));
      EXPECT_TRUE(given.status == 200 || given.status == 400) << given.status;
      refused += given.body.starts_with("Request protobuf is invalid: ") ? 1 : 0;
    }
    // All but the cuts between two fields.
    EXPECT_GE(refused, static_cast<int>(body.size()) - 3) << path;
  }
}

TEST_F(ServiceTest, RandomDamageIsAnsweredAndNeverFails) {
  pb::AtomicWrite write;
  write.add_checks()->set_key("check");
  add_set(write, "key", "data");
  auto* enqueue = write.add_enqueues();
  enqueue->set_payload("payload");
  enqueue->add_backoff_schedule(100);
  const std::string whole = write.SerializeAsString();
  Random random(42);
  for (int i = 0; i < 3000; ++i) {
    std::string body = whole;
    for (uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      body[random.below(body.size())] = static_cast<char>(random.next());
    }
    const Answer given = answer(data_call(random.one_in(2) ? "/v2/atomic_write" : "/v2/snapshot_read", body));
    EXPECT_TRUE(given.status == 200 || given.status == 400) << given.status << given.body;
  }
}

TEST_F(ServiceTest, AbsurdFields) {
  const auto refused = [&](const pb::AtomicWrite& message) {
    const std::string body = message.SerializeAsString();
    return answer(data_call("/v2/atomic_write", body)).status;
  };
  pb::AtomicWrite message;
  add_set(message, "k", "v");
  message.mutable_mutations(0)->set_mutation_type(static_cast<pb::MutationType>(INT32_MIN));
  EXPECT_EQ(refused(message), 400);
  message.mutable_mutations(0)->set_mutation_type(pb::M_SET);
  message.mutable_mutations(0)->set_expire_at_ms(INT64_MIN);
  EXPECT_EQ(refused(message), 400);
  message.mutable_mutations(0)->set_expire_at_ms(0);
  message.mutable_mutations(0)->mutable_value()->set_encoding(static_cast<pb::ValueEncoding>(INT32_MAX));
  EXPECT_EQ(refused(message), 400);
  for (const int32_t limit : {INT32_MIN, -1, 0, 1001, INT32_MAX}) {
    pb::SnapshotRead read;
    add_range(read, "a", "b", limit);
    const std::string body = read.SerializeAsString();
    EXPECT_EQ(answer(data_call("/v2/snapshot_read", body)).status, 400);
  }
  // 100,000 empty ranges.
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += std::string("\x0a\x00", 2);
  expect_text(answer(data_call("/v2/snapshot_read", many)), 400,
              "Too many read ranges requested in one read request.");
}

TEST_F(ServiceTest, LargeReadsGoToThePool) {
  for (int batch = 0; batch < 3; ++batch) {
    pb::AtomicWrite message;
    for (int i = 0; i < 250; ++i) {
      char key[16];
      std::snprintf(key, sizeof key, "key%04d", batch * 250 + i);
      add_set(message, key, std::string(1000, 'v'));
    }
    ASSERT_EQ(write(message).status(), pb::AW_SUCCESS);
  }
  pb::SnapshotRead message;
  add_range(message, "key", "kez", 1000);
  const std::string body = message.SerializeAsString();
  Call call = data_call("/v2/snapshot_read", body);
  uint64_t reserved = 0;
  struct Reserving final : Carrier {
    explicit Reserving(uint64_t& bytes) : bytes(bytes) {}
    void reserve(uint64_t given) override { bytes = given; }
    std::function<void()> waker() override {
      return [] {};
    }
    uint64_t& bytes;
  } carrier(reserved);
  call.carrier = &carrier;
  const Answer given = answer(call);
  EXPECT_GE(reserved, given.body.size());
  EXPECT_GE(reserved, uint64_t{1000} * 65536);
  pb::SnapshotReadOutput out;
  ASSERT_TRUE(out.ParseFromString(given.body));
  ASSERT_EQ(out.ranges(0).values_size(), 750);
  for (int i = 1; i < 750; ++i) EXPECT_LT(out.ranges(0).values(i - 1).key(), out.ranges(0).values(i).key());

  // A small one is answered at once and reserves nothing.
  message.mutable_ranges(0)->set_limit(10);
  const std::string small = message.SerializeAsString();
  call.body = small;
  reserved = 0;
  bool answered = false;
  service_->handle(call, [&answered](Answer) { answered = true; });
  EXPECT_TRUE(answered);
  EXPECT_EQ(reserved, 0u);
}

TEST_F(ServiceTest, ReadsFromDiskGiveTheSame) {
  set("a", "1");
  set("b", std::string(60000, 'x'));
  ASSERT_TRUE(host_->find("default")->database().flush().has_value());
  restart({});
  pb::SnapshotRead message;
  add_range(message, "a", "z", 10);
  add_range(message, "b", std::string("b\0", 2), 1);
  const auto out = read(message);
  ASSERT_EQ(out.ranges(0).values_size(), 2);
  EXPECT_EQ(out.ranges(1).values(0).value(), std::string(60000, 'x'));
}

TEST_F(ServiceTest, ReadsOfTooManyBytesAreRefusedAndNotCutShort) {
  limits_.max_read_bytes = 1001;
  ServiceOptions options;
  options.inline_read_bytes = 100;
  restart(options);
  set("a", std::string(500, 'x'));
  set("b", std::string(499, 'x'));
  pb::SnapshotRead message;
  add_range(message, "a", "c", 10);
  EXPECT_EQ(read(message).ranges(0).values_size(), 2);
  set("c", "");
  EXPECT_EQ(read(message).ranges(0).values_size(), 2);
  message.mutable_ranges(0)->set_end("d");
  const std::string body = message.SerializeAsString();
  expect_text(answer(data_call("/v2/snapshot_read", body)), 400, kv::text::kReadTooLarge);
  message.mutable_ranges(0)->set_limit(2);
  EXPECT_EQ(read(message).ranges(0).values_size(), 2);
}

TEST_F(ServiceTest, DamageIsReportedAndNotServed) {
  const CommitOutcome outcome = commit(host_->find("default")->database(),
                                       [](Transaction& transaction) -> Result<CommitRequest::Decision> {
                                         transaction.put("uk", "\x07");
                                         return CommitRequest::Decision::kCommit;
                                       });
  ASSERT_TRUE(outcome.committed);
  pb::SnapshotRead message;
  add_range(message, "k", "l", 1);
  const std::string body = message.SerializeAsString();
  const Answer given = answer(data_call("/v2/snapshot_read", body));
  EXPECT_EQ(given.status, 500);
  EXPECT_NE(given.body.find("damaged"), std::string::npos);
  EXPECT_NE(log().find("corruption"), std::string::npos);
  EXPECT_EQ(log().find(data_token_), std::string::npos);
}

TEST_F(ServiceTest, LargestBodies) {
  EXPECT_EQ(service_->max_body_bytes("POST", "/"), 16384u);
  EXPECT_EQ(service_->max_body_bytes("GET", "/v2/atomic_write"), 16384u);
  EXPECT_GE(service_->max_body_bytes("POST", "/v2/atomic_write"), 819200u + 1100 * 64);
  EXPECT_LE(service_->max_body_bytes("POST", "/v2/atomic_write"), 4u << 20);
  EXPECT_GE(service_->max_body_bytes("POST", "/v2/snapshot_read"), 11u * 2 * 2049 + 11 * 64);
  EXPECT_LE(service_->max_body_bytes("POST", "/v2/snapshot_read"), 1u << 20);
}

TEST(Failures, WhatClientsAreTold) {
  const auto status_of_write = [](ErrorCode code) { return write_failure({code, "m"}).status; };
  EXPECT_EQ(status_of_write(ErrorCode::kUnknownOutcome), 503);
  EXPECT_EQ(status_of_write(ErrorCode::kNoSpace), 409);
  EXPECT_EQ(status_of_write(ErrorCode::kShutdown), 503);
  EXPECT_EQ(status_of_write(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(status_of_write(ErrorCode::kCorruption), 500);
  EXPECT_EQ(status_of_write(ErrorCode::kIo), 500);
  const Answer disabled = write_failure({ErrorCode::kReadOnly, "m"});
  EXPECT_EQ(disabled.status, 200);
  EXPECT_EQ(disabled.content_type, "application/x-protobuf");
  EXPECT_EQ(disabled.body, write_disabled());
  EXPECT_EQ(read_failure({ErrorCode::kCorruption, "/secret/path offset 7"}).body.find("secret"),
            std::string::npos);
  EXPECT_EQ(read_failure({ErrorCode::kShutdown, "m"}).status, 503);
}

}  // namespace
}  // namespace tidemark::connect
