// The contract of ObjectStore, kept by a real server that speaks S3. For a script that has started one:
//
//   TIDEMARK_TEST_S3_ENDPOINT    http://127.0.0.1:PORT
//   TIDEMARK_TEST_S3_BUCKET      one that is there; what the tests put is removed again
//   TIDEMARK_TEST_S3_CONDITIONS  1 if the server knows conditions of puts
//   TIDEMARK_TEST_S3_SIGNATURES  0 if it does not check signatures
//   AWS_ACCESS_KEY_ID and so on
//
// Without these it fails: it must not pass for having tested nothing.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/hex.h"
#include "engine/io/entropy.h"
#include "engine/io/posix_file_system.h"
#include "server/backup/aws_credentials.h"
#include "server/backup/s3_object_store.h"
#include "server/backup/target.h"

namespace tidemark::backup {
namespace {

constexpr uint64_t kMax = 100 << 20;

std::optional<std::string> environment(std::string_view name) {
  const char* const value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

class FixedCredentials final : public CredentialsProvider {
 public:
  explicit FixedCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Credentials get() override { return credentials_; }
  Result<bool> renew(const Credentials&) override { return false; }

 private:
  const Credentials credentials_;
};

// Takes connections and never says a word; or, not listening, a port that nobody answers at.
class SilentServer {
 public:
  explicit SilentServer(bool listening) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_TRUE(!listening || ::listen(fd_, 8) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(fd_); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  const int fd_;
  int port_ = 0;
};

class S3Live : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    const auto endpoint = environment("TIDEMARK_TEST_S3_ENDPOINT");
    const auto bucket = environment("TIDEMARK_TEST_S3_BUCKET");
    if (!endpoint || !bucket || !environment("AWS_ACCESS_KEY_ID"))
      FAIL() << "this test needs a server: set TIDEMARK_TEST_S3_ENDPOINT, TIDEMARK_TEST_S3_BUCKET, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    options_.bucket = *bucket;
    options_.endpoint = *endpoint;
    options_.region = environment("AWS_REGION").value_or("us-east-1");
    options_.prefix = "tidemark-live-" + to_hex(random_bytes(6)) + "/";
    options_.ca_file = environment("AWS_CA_BUNDLE").value_or("");
    store_ = make(options_);
  }

  void TearDown() override {
    if (store_ == nullptr) return;
    while (true) {
      const auto page = store_->list("", "", 1000);
      if (!page || page->objects.empty()) break;
      for (const ObjectInfo& info : page->objects)
        if (!store_->remove(info.key)) return;
    }
  }

  static std::unique_ptr<ObjectStore> make(const S3Options& options) {
    auto credentials = aws_credentials(environment, posix_file_system(), system_clock());
    EXPECT_TRUE(credentials.has_value()) << credentials.error().message;
    auto store = make_s3_object_store(options, std::move(*credentials), system_clock());
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return std::move(*store);
  }
  static std::unique_ptr<ObjectStore> make(const S3Options& options, Credentials credentials) {
    auto store = make_s3_object_store(options, std::make_unique<FixedCredentials>(std::move(credentials)),
                                      system_clock());
    EXPECT_TRUE(store.has_value());
    return std::move(*store);
  }
  static void expect_error(const auto& result, ErrorCode code, std::string_view part = {}) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
  std::string put(std::string_view key, std::string_view bytes, const PutCondition& condition = {}) {
    auto tag = store_->put(key, bytes, condition);
    EXPECT_TRUE(tag.has_value()) << tag.error().message;
    return tag.value_or("");
  }

  S3Options options_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(S3Live, PutGetRemove) {
  const std::string tag = put("a/b", "first");
  auto object = store_->get("a/b", kMax);
  ASSERT_TRUE(object.has_value()) << object.error().message;
  EXPECT_EQ(object->bytes, "first");
  EXPECT_EQ(object->tag, tag);
  EXPECT_NE(put("a/b", "second"), tag);
  EXPECT_EQ(store_->get("a/b", kMax)->bytes, "second");
  ASSERT_TRUE(store_->remove("a/b").has_value());
  ASSERT_TRUE(store_->remove("a/b").has_value());
  expect_error(store_->get("a/b", kMax), ErrorCode::kNotFound, "a/b");
}

TEST_F(S3Live, EmptyObject) {
  put("empty", "");
  auto object = store_->get("empty", 0);
  ASSERT_TRUE(object.has_value()) << object.error().message;
  EXPECT_EQ(object->bytes, "");
}

TEST_F(S3Live, BytesOfAllKindsAndMuchOfThem) {
  std::string bytes;
  while (bytes.size() < (20 << 20)) bytes += random_bytes(1 << 20);
  put("large", bytes);
  auto object = store_->get("large", bytes.size());
  ASSERT_TRUE(object.has_value()) << object.error().message;
  EXPECT_TRUE(object->bytes == bytes);
  expect_error(store_->get("large", bytes.size() - 1), ErrorCode::kInvalidArgument, "at most");
  // Nothing of the unfinished answer is left over for the next.
  EXPECT_TRUE(store_->get("large", bytes.size()).has_value());
}

TEST_F(S3Live, GetIfChanged) {
  const std::string tag = put("a", "1");
  auto same = store_->get_if_changed("a", tag, kMax);
  ASSERT_TRUE(same.has_value()) << same.error().message;
  EXPECT_FALSE(same->has_value());
  put("a", "2");
  auto other = store_->get_if_changed("a", tag, kMax);
  ASSERT_TRUE(other.has_value()) << other.error().message;
  ASSERT_TRUE(other->has_value());
  EXPECT_EQ((*other)->bytes, "2");
}

TEST_F(S3Live, OddKeys) {
  // In the order of their bytes.
  const std::vector<std::string> keys = {"odd/ a",    "odd/a b",   "odd/a%20b",     "odd/a%2Fb",
                                         "odd/a&b=c", "odd/a+b",   "odd/a:b@c",     "odd/a;b,c",
                                         "odd/a=b",   "odd/a?b#c", "odd/a~!*'()_-."};
  for (const std::string& key : keys) put(key, "of " + key);
  for (const std::string& key : keys) {
    auto object = store_->get(key, kMax);
    ASSERT_TRUE(object.has_value()) << object.error().message;
    EXPECT_EQ(object->bytes, "of " + key);
  }
  auto page = store_->list("odd/", "", 1000);
  ASSERT_TRUE(page.has_value()) << page.error().message;
  std::vector<std::string> listed;
  for (const ObjectInfo& info : page->objects) listed.push_back(info.key);
  EXPECT_EQ(listed, keys);
  // Each of them as the place to go on from.
  for (size_t i = 0; i < keys.size(); ++i) {
    page = store_->list("odd/", keys[i], 1);
    ASSERT_TRUE(page.has_value()) << page.error().message;
    ASSERT_EQ(page->objects.size(), i + 1 < keys.size() ? 1u : 0u) << keys[i];
    for (const ObjectInfo& info : page->objects) EXPECT_EQ(info.key, keys[i + 1]);
  }
  page = store_->list("odd/a+", "", 10);
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->objects.size(), 1u);
  for (const std::string& key : keys) EXPECT_TRUE(store_->remove(key).has_value()) << key;
}

TEST_F(S3Live, ListsMoreThanAThousand) {
  constexpr int kKeys = 1'205;
  const auto key = [](int i) { return "many/" + std::to_string(10'000 + i); };
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i; (i = next++) < kKeys;)
        EXPECT_TRUE(store_->put(key(i), std::string(i % 7, 'x')).has_value());
    });
  for (std::thread& thread : threads) thread.join();
  put("many.before", "");
  put("mbny", "");

  int seen = 0;
  std::string last;
  for (bool more = true; more;) {
    auto page = store_->list("many/", last, 1000);
    ASSERT_TRUE(page.has_value()) << page.error().message;
    ASSERT_FALSE(page->objects.empty());
    for (const ObjectInfo& info : page->objects) {
      EXPECT_EQ(info.key, key(seen));
      EXPECT_EQ(info.size, static_cast<uint64_t>(seen % 7));
      ++seen;
    }
    last = page->objects.back().key;
    more = page->more;
  }
  EXPECT_EQ(seen, kKeys);

  auto page = store_->list("many/", key(41), 3);
  ASSERT_TRUE(page.has_value()) << page.error().message;
  ASSERT_EQ(page->objects.size(), 3u);
  EXPECT_EQ(page->objects[0].key, key(42));
  EXPECT_TRUE(page->more);
  const int64_t age_ms = system_clock().wall_us() / 1000 - page->objects[0].modified_ms;
  EXPECT_LT(std::abs(age_ms), 600'000);
  page = store_->list("many/", key(kKeys - 3), 2);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->objects.size(), 2u);
  EXPECT_FALSE(page->more);
  page = store_->list("nothing/", "", 10);
  ASSERT_TRUE(page.has_value());
  EXPECT_TRUE(page->objects.empty());
  EXPECT_FALSE(page->more);
}

TEST_F(S3Live, Folders) {
  for (const char* key : {"f/2/x", "f/1/y/z", "f/1/w", "f/10/v", "f/file", "f/a b+c/u", "g/1"}) put(key, "x");
  auto names = store_->list_folders("f/");
  ASSERT_TRUE(names.has_value()) << names.error().message;
  EXPECT_EQ(*names, (std::vector<std::string>{"1", "10", "2", "a b+c"}));
  EXPECT_EQ(store_->list_folders("").value(), (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(store_->list_folders("f/1").value(), (std::vector<std::string>{"", "0"}));
  EXPECT_TRUE(store_->list_folders("none/").value().empty());
}

TEST_F(S3Live, MoreThanAThousandFolders) {
  constexpr int kFolders = 1'100;
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i; (i = next++) < kFolders;)
        EXPECT_TRUE(store_->put("d/" + std::to_string(10'000 + i) + "/o", "x").has_value());
    });
  for (std::thread& thread : threads) thread.join();
  auto names = store_->list_folders("d/");
  ASSERT_TRUE(names.has_value()) << names.error().message;
  ASSERT_EQ(names->size(), static_cast<size_t>(kFolders));
  for (int i = 0; i < kFolders; ++i) EXPECT_EQ((*names)[static_cast<size_t>(i)], std::to_string(10'000 + i));
}

TEST_F(S3Live, Conditions) {
  if (environment("TIDEMARK_TEST_S3_CONDITIONS") != "1") GTEST_SKIP() << "the server knows no conditions";
  const std::string first = put("c", "1", PutCondition::absent());
  expect_error(store_->put("c", "2", PutCondition::absent()), ErrorCode::kConflict);
  EXPECT_EQ(store_->get("c", kMax)->bytes, "1");
  const std::string second = put("c", "2", PutCondition::unchanged(first));
  expect_error(store_->put("c", "3", PutCondition::unchanged(first)), ErrorCode::kConflict);
  put("c", "3", PutCondition::unchanged(second));
  ASSERT_TRUE(store_->remove("c").has_value());
  expect_error(store_->put("c", "4", PutCondition::unchanged(second)), ErrorCode::kConflict);
  put("c", "5", PutCondition::absent());
  // Of many at once one wins. That the store was busy with another is an answer, too.
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      const auto result = store_->put("race", std::to_string(t), PutCondition::absent());
      if (result) {
        ++won;
      } else {
        EXPECT_TRUE(result.error().code == ErrorCode::kConflict ||
                    result.error().code == ErrorCode::kUnavailable)
            << result.error().message;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
}

TEST_F(S3Live, WrongCredentials) {
  if (environment("TIDEMARK_TEST_S3_SIGNATURES") == "0") GTEST_SKIP() << "the server checks no signatures";
  auto credentials = aws_credentials(environment, posix_file_system(), system_clock());
  ASSERT_TRUE(credentials.has_value());
  Credentials wrong = (*credentials)->get();
  wrong.secret_access_key += "x";
  auto store = make(options_, wrong);
  expect_error(store->put("a", "1"), ErrorCode::kDenied, "secret access key");
  expect_error(store->get("a", kMax), ErrorCode::kDenied);
  expect_error(store->list("", "", 10), ErrorCode::kDenied);
  // Refused before much of it was sent, and not taken for a broken connection.
  expect_error(store->put("a", std::string(20 << 20, 'x')), ErrorCode::kDenied);
  wrong = (*credentials)->get();
  wrong.access_key_id = "NOBODY";
  expect_error(make(options_, wrong)->list("", "", 10), ErrorCode::kDenied);
}

TEST_F(S3Live, WrongClock) {
  class Late final : public Clock {
   public:
    int64_t wall_us() override { return system_clock().wall_us() - int64_t{3600} * 1'000'000; }
    int64_t monotonic_us() override { return system_clock().monotonic_us(); }
    void sleep_us(int64_t us) override { system_clock().sleep_us(us); }
  } late;
  auto credentials = aws_credentials(environment, posix_file_system(), system_clock());
  ASSERT_TRUE(credentials.has_value());
  auto store = make_s3_object_store(options_, std::move(*credentials), late);
  ASSERT_TRUE(store.has_value());
  expect_error((*store)->list("", "", 10), ErrorCode::kDenied, "clock");
}

TEST_F(S3Live, MissingBucket) {
  S3Options options = options_;
  options.bucket = "tidemark-there-is-no-such-bucket";
  auto store = make(options);
  expect_error(store->put("a", "1"), ErrorCode::kDenied, "no bucket");
  expect_error(store->get("a", kMax), ErrorCode::kDenied, "no bucket");
  expect_error(store->list("", "", 10), ErrorCode::kDenied, "no bucket");
}

TEST_F(S3Live, UnreachablePort) {
  SilentServer nobody(false);
  S3Options options = options_;
  options.endpoint = nobody.url();
  expect_error(make(options)->put("a", "1"), ErrorCode::kUnavailable, "cannot be reached");
}

TEST_F(S3Live, SilentServerIsGivenUp) {
  SilentServer silent(true);
  S3Options options = options_;
  options.endpoint = silent.url();
  options.limits.stall_s = 2;
  expect_error(make(options)->get("a", kMax), ErrorCode::kUnavailable);
}

TEST_F(S3Live, CancelEndsWhatIsUnderWay) {
  SilentServer silent(true);
  S3Options options = options_;
  options.endpoint = silent.url();
  auto store = make(options);
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    store->cancel();
  });
  const auto begin = std::chrono::steady_clock::now();
  expect_error(store->put("a", "1"), ErrorCode::kShutdown);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took, std::chrono::seconds(4));
  canceller.join();
  expect_error(store->get("a", kMax), ErrorCode::kShutdown);
}

TEST_F(S3Live, ByTheUrl) {
  auto target = parse_target("s3://" + options_.bucket + "/" + options_.prefix +
                             "deeper/?endpoint=" + options_.endpoint + "&region=" + options_.region);
  ASSERT_TRUE(target.has_value()) << target.error().message;
  auto store = make_object_store(*target, {posix_file_system(), system_clock(), environment});
  ASSERT_TRUE(store.has_value()) << store.error().message;
  ASSERT_TRUE((*store)->put("a", "1").has_value());
  EXPECT_EQ(store_->get("deeper/a", kMax)->bytes, "1");
  EXPECT_EQ((*store)->list("", "", 10)->objects.at(0).key, "a");
}

}  // namespace
}  // namespace tidemark::backup
