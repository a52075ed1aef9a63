// The store against a server that says, byte for byte, what the test has written down.
#include "server/backup/s3_object_store.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "engine/io/sync.h"
#include "server/backup/s3_signature.h"
#include "tests/support/fake_clock.h"

namespace tidemark::backup {
namespace {

struct Reply {
  std::string bytes;
  bool close = false;  // the connection, behind them
};

// Takes one connection after the other, and keeps what was asked.
class ScriptedServer {
 public:
  ScriptedServer() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    {
      MutexLock lock(mutex_);
      if (connection_ >= 0) ::shutdown(connection_, SHUT_RDWR);
    }
    thread_.join();
    ::close(fd_);
  }

  void will_say(Reply reply) {
    MutexLock lock(mutex_);
    replies_.push_back(std::move(reply));
  }
  std::vector<std::string> requests() const {
    MutexLock lock(mutex_);
    return requests_;
  }
  int connections() const {
    MutexLock lock(mutex_);
    return connections_;
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void serve() {
    for (int connection; (connection = ::accept(fd_, nullptr, nullptr)) >= 0;) {
      {
        MutexLock lock(mutex_);
        connection_ = connection;
        ++connections_;
      }
      while (answer_one(connection)) {
      }
      MutexLock lock(mutex_);
      connection_ = -1;
      ::close(connection);
    }
  }

  // False when the connection is to be closed.
  bool answer_one(int connection) {
    std::string request;
    size_t needed = std::string::npos;
    while (request.size() < needed) {
      char buffer[4096];
      const ssize_t n = ::recv(connection, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      request.append(buffer, static_cast<size_t>(n));
      const size_t head = request.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const size_t length = request.find("Content-Length: ");
      needed = head + 4 + (length < head ? std::strtoul(request.c_str() + length + 16, nullptr, 10) : 0);
    }
    Reply reply{"", true};
    {
      MutexLock lock(mutex_);
      requests_.push_back(std::move(request));
      if (!replies_.empty()) {
        reply = std::move(replies_.front());
        replies_.pop_front();
      }
    }
    for (size_t sent = 0; sent < reply.bytes.size();) {
      const ssize_t n =
          ::send(connection, reply.bytes.data() + sent, reply.bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<size_t>(n);
    }
    return !reply.close;
  }

  const int fd_;
  int port_ = 0;
  mutable Mutex mutex_;
  std::deque<Reply> replies_ TM_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ TM_GUARDED_BY(mutex_);
  int connection_ TM_GUARDED_BY(mutex_) = -1;
  int connections_ TM_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

// The second key is what the store is given when it asks for others.
class TwoKeys final : public CredentialsProvider {
 public:
  explicit TwoKeys(bool has_second) : has_second_(has_second) {}
  Credentials get() override { return {second_ ? "SECOND" : "FIRST", "secret", "token"}; }
  Result<bool> renew(const Credentials& refused) override {
    if (refused.access_key_id == "FIRST" && has_second_) second_ = true;
    return refused != get();
  }

 private:
  const bool has_second_;
  std::atomic<bool> second_ = false;
};

std::string reply(int status, std::string_view body, std::string_view headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Words\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string listing(std::string_view inside, bool truncated) {
  return "<ListBucketResult><IsTruncated>" + std::string(truncated ? "true" : "false") + "</IsTruncated>" +
         std::string(inside) + "</ListBucketResult>";
}
std::string listed(std::string_view key) {
  return "<Contents><Key>" + std::string(key) +
         "</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>1</Size></Contents>";
}

class S3ObjectStoreTest : public testing::Test {
 protected:
  S3ObjectStoreTest() {
    std::signal(SIGPIPE, SIG_IGN);
    options_.bucket = "bucket";
    options_.prefix = "pre fix/";
    options_.endpoint = "http://" + server_.host();
    options_.region = "r1";
    make(true);
  }
  void make(bool has_second_key) {
    auto store = make_s3_object_store(options_, std::make_unique<TwoKeys>(has_second_key), clock_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  static void expect_error(const auto& result, ErrorCode code, std::string_view part = {}) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
  // That a request has this line, whole.
  static bool has_line(const std::string& request, std::string_view line) {
    return request.contains("\r\n" + std::string(line) + "\r\n");
  }

  ScriptedServer server_;
  FakeClock clock_;
  S3Options options_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(S3ObjectStoreTest, WhatAPutSends) {
  options_.encryption = "aws:kms";
  options_.kms_key_id = "key-1";
  make(true);
  server_.will_say({reply(200, "", "ETag: \"tag 1\"\r\n")});
  EXPECT_EQ(store_->put("a+b/c d", "bytes", PutCondition::absent()).value(), "\"tag 1\"");
  const std::string request = server_.requests().at(0);
  EXPECT_TRUE(request.starts_with("PUT /bucket/pre%20fix/a%2Bb/c%20d HTTP/1.1\r\n")) << request;
  EXPECT_TRUE(request.ends_with("\r\n\r\nbytes")) << request;
  EXPECT_TRUE(has_line(request, "Content-Length: 5")) << request;
  EXPECT_TRUE(has_line(request, "Host: " + server_.host())) << request;
  EXPECT_TRUE(has_line(request, "if-none-match: *")) << request;
  EXPECT_TRUE(has_line(request, "x-amz-server-side-encryption: aws:kms")) << request;
  EXPECT_TRUE(has_line(request, "x-amz-server-side-encryption-aws-kms-key-id: key-1")) << request;
  EXPECT_TRUE(has_line(request, "x-amz-content-sha256: " + sha256_hex("bytes"))) << request;
  EXPECT_TRUE(has_line(request, "x-amz-security-token: token")) << request;
  EXPECT_TRUE(has_line(request, "x-amz-date: 20231114T221320Z")) << request;
  EXPECT_TRUE(
      request.contains("Credential=FIRST/20231114/r1/s3/aws4_request,SignedHeaders=host;if-none-match;"
                       "x-amz-content-sha256;x-amz-date;x-amz-security-token;"
                       "x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id,"))
      << request;
  EXPECT_FALSE(request.contains("Expect")) << request;
}

TEST_F(S3ObjectStoreTest, PutWithoutATag) {
  server_.will_say({reply(200, "")});
  EXPECT_EQ(store_->put("a", "").value(), "");
  server_.will_say({reply(200, "")});
  EXPECT_TRUE(store_->put("a", "", PutCondition::unchanged("")).has_value());
  EXPECT_FALSE(server_.requests().at(1).contains("if-match"));
}

TEST_F(S3ObjectStoreTest, Conditions) {
  server_.will_say({reply(412, "<Error><Code>PreconditionFailed</Code></Error>")});
  expect_error(store_->put("a", "1", PutCondition::unchanged("\"t\"")), ErrorCode::kConflict,
               "put s3://bucket/pre fix/a");
  EXPECT_TRUE(has_line(server_.requests().at(0), "if-match: \"t\""));
  server_.will_say({reply(404, "<Error><Code>NoSuchKey</Code></Error>")});
  expect_error(store_->put("a", "1", PutCondition::unchanged("\"t\"")), ErrorCode::kConflict);
  server_.will_say({reply(409, "<Error><Code>ConditionalRequestConflict</Code></Error>")});
  expect_error(store_->put("a", "1", PutCondition::absent()), ErrorCode::kUnavailable);
}

TEST_F(S3ObjectStoreTest, ConnectionsAreKept) {
  for (int i = 0; i < 5; ++i) server_.will_say({reply(200, "body", "ETag: \"t\"\r\n")});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(store_->get("a", 10).value().bytes, "body");
  EXPECT_EQ(server_.connections(), 1);
  // Closed by the server meanwhile: a new one is made.
  server_.will_say({reply(200, "body"), true});
  server_.will_say({reply(200, "")});
  EXPECT_EQ(store_->get("a", 10)->bytes, "body");
  EXPECT_TRUE(store_->put("a", std::string(100'000, 'x')).has_value());
}

TEST_F(S3ObjectStoreTest, AnswersThatBreakOff) {
  server_.will_say({"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable, "broke off");
  server_.will_say({"HTTP/1.1 200 OK\r\nContent-Le", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable);
  server_.will_say({"", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable, "did not answer");
  // Nothing tells whether these are whole.
  server_.will_say({"HTTP/1.1 200 OK\r\n\r\n12345", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable, "does not say its length");
  server_.will_say({"HTTP/1.1 200 OK\r\n\r\n", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable, "does not say its length");
  server_.will_say({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable);
  server_.will_say({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"});
  EXPECT_EQ(store_->get("a", 100)->bytes, "12345");
  server_.will_say({"this is not HTTP\r\n\r\n", true});
  expect_error(store_->get("a", 100), ErrorCode::kUnavailable);
}

TEST_F(S3ObjectStoreTest, AnswersAreBounded) {
  server_.will_say({reply(200, "123456")});
  expect_error(store_->get("a", 5), ErrorCode::kInvalidArgument, "more than the 5 bytes");
  server_.will_say({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n"});
  expect_error(store_->get("a", 5), ErrorCode::kInvalidArgument, "more than the 5 bytes");
  server_.will_say({reply(200, "12345")});
  EXPECT_EQ(store_->get("a", 5)->bytes, "12345");
  server_.will_say({reply(503, std::string(300'000, 'x'))});
  expect_error(store_->get("a", 5), ErrorCode::kUnavailable, "overloaded");
  server_.will_say({reply(200, std::string((16 << 20) + 1, ' '))});
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption, "more than");
}

TEST_F(S3ObjectStoreTest, RedirectsAreNotFollowed) {
  server_.will_say(
      {reply(307, "", "Location: http://" + server_.host() + "/elsewhere\r\nx-amz-bucket-region: r2\r\n")});
  expect_error(store_->get("a", 5), ErrorCode::kDenied, "is in the region r2, not in r1");
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(S3ObjectStoreTest, GetIfChanged) {
  server_.will_say({"HTTP/1.1 304 Not Modified\r\nETag: \"t\"\r\n\r\n"});
  auto same = store_->get_if_changed("a", "\"t\"", 10);
  ASSERT_TRUE(same.has_value()) << same.error().message;
  EXPECT_FALSE(same->has_value());
  EXPECT_TRUE(has_line(server_.requests().at(0), "if-none-match: \"t\""));
  // A store that does not look at the tag.
  server_.will_say({reply(200, "1", "ETag: \"t\"\r\n")});
  EXPECT_FALSE(store_->get_if_changed("a", "\"t\"", 10)->has_value());
  server_.will_say({"HTTP/1.1 304 Not Modified\r\n\r\n"});
  expect_error(store_->get("a", 10), ErrorCode::kCorruption);
}

TEST_F(S3ObjectStoreTest, CredentialsAreRenewedOnce) {
  server_.will_say({reply(403, "<Error><Code>ExpiredToken</Code></Error>")});
  server_.will_say({reply(200, "1")});
  EXPECT_EQ(store_->get("a", 10)->bytes, "1");
  EXPECT_TRUE(server_.requests().at(0).contains("Credential=FIRST/"));
  EXPECT_TRUE(server_.requests().at(1).contains("Credential=SECOND/"));
  server_.will_say({reply(403, "<Error><Code>ExpiredToken</Code></Error>")});
  expect_error(store_->get("a", 10), ErrorCode::kDenied, "has expired");
  EXPECT_EQ(server_.requests().size(), 3u);
  make(false);
  server_.will_say({reply(403, "<Error><Code>InvalidAccessKeyId</Code></Error>")});
  expect_error(store_->get("a", 10), ErrorCode::kDenied);
  EXPECT_EQ(server_.requests().size(), 4u);
}

TEST_F(S3ObjectStoreTest, Lists) {
  server_.will_say({reply(200, listing(listed("pre fix/a/1") + listed("pre fix/a/2") +
                                           "<NextContinuationToken>n</NextContinuationToken>",
                                       true))});
  auto page = store_->list("a/", "a/0", 2);
  ASSERT_TRUE(page.has_value()) << page.error().message;
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "a/1");
  EXPECT_TRUE(page->more);
  EXPECT_TRUE(server_.requests().at(0).starts_with(
      "GET "
      "/bucket/"
      "?encoding-type=url&list-type=2&max-keys=2&prefix=pre%20fix%2Fa%2F&start-after=pre%20fix%2Fa%2F0 "))
      << server_.requests().at(0);

  // A page without keys is no end.
  server_.will_say({reply(200, listing("<NextContinuationToken>n/1</NextContinuationToken>", true))});
  server_.will_say({reply(200, listing(listed("pre fix/a"), false))});
  page = store_->list("", "", 10);
  ASSERT_TRUE(page.has_value()) << page.error().message;
  EXPECT_EQ(page->objects.at(0).key, "a");
  EXPECT_FALSE(page->more);
  EXPECT_TRUE(server_.requests().at(2).contains("continuation-token=n%2F1&")) << server_.requests().at(2);
}

TEST_F(S3ObjectStoreTest, ListsThatMakeNoSense) {
  const auto says = [&](const std::string& body) { server_.will_say({reply(200, body)}); };
  says(listing(listed("pre fix/b") + listed("pre fix/a"), false));
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption, "pre fix/a");
  says(listing(listed("pre fix/a") + listed("pre fix/a"), false));
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption);
  says(listing(listed("other/a"), false));
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption, "other/a");
  says(listing(listed("pre fix/a"), false));
  expect_error(store_->list("", "a", 10), ErrorCode::kCorruption);
  says(listing(listed("pre fix/a"), true));
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption, "how to go on");
  const std::string token = "<NextContinuationToken>n</NextContinuationToken>";
  says(listing(token, true));
  says(listing(token, true));
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption, "how to go on");
  says("<html>Log in</html>");
  expect_error(store_->list("", "", 10), ErrorCode::kCorruption);
}

TEST_F(S3ObjectStoreTest, ListsFolders) {
  server_.will_say(
      {reply(200, listing("<CommonPrefixes><Prefix>pre fix/x/2/</Prefix></CommonPrefixes>" +
                              listed("pre fix/x/file") + "<NextContinuationToken>n</NextContinuationToken>",
                          true))});
  server_.will_say(
      {reply(200, listing("<CommonPrefixes><Prefix>pre fix/x/3/</Prefix></CommonPrefixes>", false))});
  EXPECT_EQ(store_->list_folders("x/").value(), (std::vector<std::string>{"2", "3"}));
  EXPECT_TRUE(server_.requests().at(0).contains(
      "?delimiter=%2F&encoding-type=url&list-type=2&prefix=pre%20fix%2Fx%2F "));
  server_.will_say({reply(200, listing("<CommonPrefixes><Prefix>other/</Prefix></CommonPrefixes>", false))});
  expect_error(store_->list_folders("x/"), ErrorCode::kCorruption);
}

TEST_F(S3ObjectStoreTest, Remove) {
  server_.will_say({"HTTP/1.1 204 No Content\r\n\r\n"});
  EXPECT_TRUE(store_->remove("a").has_value());
  EXPECT_TRUE(server_.requests().at(0).starts_with("DELETE /bucket/pre%20fix/a HTTP/1.1\r\n"));
  server_.will_say({reply(404, "<Error><Code>NoSuchKey</Code></Error>")});
  EXPECT_TRUE(store_->remove("a").has_value());
  server_.will_say({reply(404, "<Error><Code>NoSuchBucket</Code></Error>")});
  expect_error(store_->remove("a"), ErrorCode::kDenied);
}

TEST_F(S3ObjectStoreTest, RefusesBadKeys) {
  for (const std::string& key :
       {std::string(), std::string("a\nb"), std::string("\xc3\xa4"), std::string(1020, 'a')}) {
    expect_error(store_->put(key, "x"), ErrorCode::kInvalidArgument);
    expect_error(store_->get(key, 10), ErrorCode::kInvalidArgument);
    expect_error(store_->remove(key), ErrorCode::kInvalidArgument);
  }
  expect_error(store_->list("\n", "", 10), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(S3ObjectStoreTest, Describe) {
  EXPECT_EQ(store_->describe(), "s3://bucket/pre fix");
  options_.prefix.clear();
  make(true);
  EXPECT_EQ(store_->describe(), "s3://bucket");
}

TEST_F(S3ObjectStoreTest, DotsInKeysStay) {
  server_.will_say({reply(200, "1")});
  EXPECT_TRUE(store_->get("a/../b/./c", 10).has_value());
  EXPECT_TRUE(server_.requests().at(0).starts_with("GET /bucket/pre%20fix/a/../b/./c HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace tidemark::backup
