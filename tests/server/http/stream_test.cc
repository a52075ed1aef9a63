// Answers that come piece by piece.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

// Gives what the test puts in, and counts.
class TestSource final : public BodySource {
 public:
  explicit TestSource(std::function<void()> wake, std::atomic<int>& alive)
      : wake_(std::move(wake)), alive_(alive) {
    ++alive_;
  }
  ~TestSource() override { --alive_; }

  Next next(std::string& piece) override {
    EXPECT_TRUE(piece.empty());
    const MutexLock lock(mutex_);
    ++asked_;
    if (to_be_made_ > 0 && pieces_.empty()) {
      in_making_ = std::exchange(to_be_made_, 0);
      return Next::kNothing;
    }
    in_making_ = 0;
    if (pieces_.empty()) return ended_ ? Next::kEnd : Next::kNothing;
    piece = std::move(pieces_.front());
    pieces_.pop_front();
    ++given_;
    return Next::kPiece;
  }
  uint64_t bytes_in_making() const override {
    const MutexLock lock(mutex_);
    return in_making_;
  }
  // When asked the next time, says that it is making a piece of so many bytes.
  void begin_making(uint64_t bytes) {
    {
      const MutexLock lock(mutex_);
      to_be_made_ = bytes;
    }
    wake_();
  }
  void put(std::string piece) {
    {
      const MutexLock lock(mutex_);
      pieces_.push_back(std::move(piece));
    }
    wake_();
  }
  void end() {
    {
      const MutexLock lock(mutex_);
      ended_ = true;
    }
    wake_();
  }
  int given() {
    const MutexLock lock(mutex_);
    return given_;
  }
  int asked() {
    const MutexLock lock(mutex_);
    return asked_;
  }

 private:
  const std::function<void()> wake_;
  std::atomic<int>& alive_;
  mutable Mutex mutex_;
  std::deque<std::string> pieces_ TM_GUARDED_BY(mutex_);
  uint64_t to_be_made_ TM_GUARDED_BY(mutex_) = 0;
  uint64_t in_making_ TM_GUARDED_BY(mutex_) = 0;
  bool ended_ TM_GUARDED_BY(mutex_) = false;
  int given_ TM_GUARDED_BY(mutex_) = 0;
  int asked_ TM_GUARDED_BY(mutex_) = 0;
};

constexpr std::string_view kKeepAlive = "~~";

Options with_keep_alive(int64_t ms) {
  Options options = quick_options();
  options.keep_alive_ms = ms;
  return options;
}

class StreamTest : public ::testing::Test {
 protected:
  explicit StreamTest(const Options& options = with_keep_alive(3'600'000)) : server_(options) {
    server_.handler.on_request = [this](Request request, Responder responder) {
      if (request.path == "/other") return responder.respond({200, "text/plain", "other"});
      auto source = std::make_shared<TestSource>(responder.waker(), alive_);
      {
        const MutexLock lock(mutex_);
        sources_.push_back(source);
      }
      responder.respond({200, "application/octet-stream", "", source, kKeepAlive});
    };
  }

  // Null until the server has made it. The test holds it no longer than a statement.
  std::shared_ptr<TestSource> source(size_t i = 0) {
    const MutexLock lock(mutex_);
    return i < sources_.size() ? sources_[i].lock() : nullptr;
  }
  size_t made() {
    const MutexLock lock(mutex_);
    return sources_.size();
  }

  std::atomic<int> alive_{0};
  Mutex mutex_;
  std::vector<std::weak_ptr<TestSource>> sources_ TM_GUARDED_BY(mutex_);
  Server server_;
};

TEST_F(StreamTest, Http2GivesPiecesAsTheyComeAndEnds) {
  H2Client client(server_.port());
  const int32_t id = client.submit({.path = "/stream"});
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].status == 200 && source(); }));
  EXPECT_EQ(client.answers[id].headers.count("content-length"), 0u);
  EXPECT_EQ(client.answers[id].headers["content-type"], "application/octet-stream");
  source()->put("one ");
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body == "one "; }));
  const std::string large(300'000, 'x');
  source()->put(large);
  source()->put(" three");
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body == "one " + large + " three"; }));
  EXPECT_FALSE(client.answers[id].closed);
  // Other requests of the connection go on beside it.
  EXPECT_EQ(client.ask({.path = "/other"}).body, "other");
  source()->end();
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].error, 0u);
  EXPECT_TRUE(eventually([&] { return alive_ == 0; }));
}

TEST_F(StreamTest, Http1SendsChunksAndCloses) {
  RawClient client(server_.port());
  ASSERT_TRUE(client.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  EXPECT_NE(client.received.find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_EQ(client.received.find("Content-Length"), std::string::npos);
  client.received.clear();
  source()->put("hello");
  ASSERT_TRUE(client.receive_until("5\r\nhello\r\n"));
  client.received.clear();
  source()->put(std::string(100'000, 'y'));
  source()->end();
  ASSERT_TRUE(client.receive_to_end());
  EXPECT_EQ(client.received, "186a0\r\n" + std::string(100'000, 'y') + "\r\n0\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return alive_ == 0; }));
}

TEST_F(StreamTest, Http10EndsWithTheConnection) {
  RawClient client(server_.port());
  ASSERT_TRUE(client.send("POST /stream HTTP/1.0\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  EXPECT_EQ(client.received.find("chunked"), std::string::npos);
  client.received.clear();
  source()->put("hello");
  source()->end();
  ASSERT_TRUE(client.receive_to_end());
  EXPECT_EQ(client.received, "hello");
}

TEST_F(StreamTest, HeadGetsNoBody) {
  RawClient client(server_.port());
  ASSERT_TRUE(client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(client.receive_to_end());
  EXPECT_TRUE(client.received.ends_with("\r\n\r\n"));
  H2Client two(server_.port());
  EXPECT_EQ(two.ask({.method = "HEAD", .path = "/stream"}).body, "");
  EXPECT_TRUE(eventually([&] { return alive_ == 0; }));
}

// A client that does not read is asked for nothing more: pieces that it would miss are never made.
TEST_F(StreamTest, ASlowHttp2ClientHasOnePieceInFlight) {
  H2Client client(server_.port(), {.stream_window = 1000, .auto_window = false});
  const int32_t id = client.submit({.path = "/stream"});
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].status == 200 && source(); }));
  for (int i = 0; i < 100; ++i) source()->put(std::string(5000, 'a'));
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body.size() == 1000; }));
  // The server is done with this turn once it has answered another request.
  EXPECT_EQ(client.ask({.path = "/other"}).body, "other");
  EXPECT_EQ(source()->given(), 1);
  EXPECT_LE(server_.counters().response_bytes_waiting, 5000u);
  client.reset(id);
  client.flush();
  EXPECT_TRUE(eventually([&] { return alive_ == 0 && server_.counters().response_bytes_waiting == 0; }));
  EXPECT_TRUE(server_.serves_others());
}

TEST_F(StreamTest, ASlowHttp1ClientIsNotBufferedFor) {
  RawClient client(server_.port(), 4096);
  ASSERT_TRUE(client.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  const int pieces = 400;
  for (int i = 0; i < pieces; ++i) source()->put(std::string(100'000, 'a'));
  ASSERT_TRUE(eventually([&] { return source()->given() > 0; }));
  EXPECT_TRUE(server_.serves_others());
  EXPECT_LT(source()->given(), pieces);  // the system's buffers take some megabytes
  client.close();
  EXPECT_TRUE(eventually([&] { return alive_ == 0; }));
  EXPECT_TRUE(server_.settles());
}

TEST_F(StreamTest, TheSourceGoesWhenTheClientDoes) {
  {
    H2Client two(server_.port());
    const int32_t id = two.submit({.path = "/stream"});
    two.submit({.path = "/stream"});
    RawClient one(server_.port());
    ASSERT_TRUE(one.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    ASSERT_TRUE(two.run_until([&] { return made() == 3; }));
    two.reset(id);
    ASSERT_TRUE(two.flush());
    EXPECT_TRUE(eventually([&] { return alive_ == 2; }));
  }
  EXPECT_TRUE(eventually([&] { return alive_ == 0; }));
  EXPECT_TRUE(server_.settles());
}

TEST_F(StreamTest, WakingFromManyThreadsLosesNothing) {
  H2Client client(server_.port());
  const int32_t id = client.submit({.path = "/stream"});
  ASSERT_TRUE(client.run_until([&] { return source() != nullptr; }));
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      const auto held = source();
      for (int i = 0; i < kEach; ++i) held->put("p");
    });
  }
  EXPECT_TRUE(client.run_until([&] { return client.answers[id].body.size() == kThreads * kEach; }));
  for (std::thread& thread : threads) thread.join();
}

TEST_F(StreamTest, StoppingEndsStreamsInOrder) {
  H2Client two(server_.port());
  const int32_t id = two.submit({.path = "/stream"});
  RawClient one(server_.port());
  ASSERT_TRUE(one.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(two.run_until([&] { return made() == 2; }));
  std::atomic<bool> clean{false};
  std::thread stopping([&] { clean = server_.listener->stop(kPatienceMs); });
  EXPECT_TRUE(two.run_until([&] { return two.answers[id].closed; }));
  EXPECT_EQ(two.answers[id].error, 0u);
  EXPECT_TRUE(one.receive_to_end());
  EXPECT_TRUE(one.received.ends_with("0\r\n\r\n"));
  EXPECT_TRUE(two.run_until_closed());
  stopping.join();
  EXPECT_TRUE(clean);
  EXPECT_EQ(alive_, 0);
}

TEST_F(StreamTest, WakersMayOutliveEverything) {
  std::function<void()> waker;
  {
    Server other(quick_options());
    other.handler.on_request = [&](Request, Responder responder) {
      waker = responder.waker();
      responder.respond({200, "", "x"});
    };
    RawClient client(other.port());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(client.receive_until("200 OK"));
    waker();  // of an answer without a source
    EXPECT_TRUE(other.serves_others());
  }
  waker();
  waker();
}

class KeepAliveTest : public StreamTest {
 protected:
  KeepAliveTest() : StreamTest(with_keep_alive(30)) {}
};

TEST_F(KeepAliveTest, IsSentWhileThereIsNothingElse) {
  H2Client two(server_.port());
  const int32_t id = two.submit({.path = "/stream"});
  RawClient one(server_.port());
  ASSERT_TRUE(one.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(two.run_until([&] { return two.answers[id].body == "~~~~"; }));
  EXPECT_TRUE(one.receive_until("2\r\n~~\r\n2\r\n~~\r\n"));
}

class TightStreamTest : public StreamTest {
 protected:
  static Options options() {
    Options options = with_keep_alive(3'600'000);
    options.response_bytes_total = 1 << 20;
    return options;
  }
  TightStreamTest() : StreamTest(options()) {}
};

// Many streams whose clients take nothing: pieces are made only while the budget has room, and the rest
// follows when it has again.
TEST_F(TightStreamTest, PiecesWaitForTheBudget) {
  constexpr size_t kStreams = 40;
  constexpr size_t kPiece = 100'000;
  H2Client client(server_.port(), {.stream_window = 1000, .auto_window = false});
  std::vector<int32_t> ids;
  for (size_t i = 0; i < kStreams; ++i) ids.push_back(client.submit({.path = "/stream"}));
  ASSERT_TRUE(client.run_until([&] { return made() == kStreams; }));
  for (size_t i = 0; i < kStreams; ++i) source(i)->put(std::string(kPiece, 'b'));
  ASSERT_TRUE(client.run_until([&] { return client.answers[ids[0]].body.size() == 1000; }));
  const auto given = [&] {
    size_t sum = 0;
    for (size_t i = 0; i < kStreams; ++i) {
      const auto held = source(i);
      sum += held ? static_cast<size_t>(held->given()) : 0;
    }
    return sum;
  };
  EXPECT_LE(given(), (1 << 20) / kPiece + 1);
  EXPECT_LE(server_.counters().response_bytes_waiting, (1u << 20) + kPiece);
  // The first ones go, the others get theirs.
  for (size_t i = 0; i < kStreams / 2; ++i) client.reset(ids[i]);
  EXPECT_TRUE(client.run_until([&] {
    size_t begun = 0;
    for (size_t i = kStreams / 2; i < kStreams; ++i) begun += client.answers[ids[i]].body.empty() ? 0 : 1;
    return begun >= 5;
  }));
}

// What sources make on other threads takes its room when they begin, not when it is there.
TEST_F(TightStreamTest, PiecesInMakingCount) {
  constexpr size_t kStreams = 40;
  constexpr size_t kPiece = 100'000;
  constexpr size_t kFit = (1 << 20) / kPiece + 1;
  H2Client client(server_.port());
  std::vector<int32_t> ids;
  for (size_t i = 0; i < kStreams; ++i) ids.push_back(client.submit({.path = "/stream"}));
  ASSERT_TRUE(client.run_until([&] { return made() == kStreams; }));
  const auto asked_first = [&](size_t i) { return source(i)->asked() > 0; };
  for (size_t i = 0; i < kStreams; ++i) ASSERT_TRUE(eventually([&] { return asked_first(i); }));
  for (size_t i = 0; i < kStreams; ++i) source(i)->begin_making(kPiece);
  const auto making = [&] {
    std::vector<size_t> found;
    for (size_t i = 0; i < kStreams; ++i)
      if (source(i)->bytes_in_making() > 0) found.push_back(i);
    return found;
  };
  ASSERT_TRUE(eventually([&] { return making().size() == kFit; }));
  // All are made, a few at once, though the room is full whenever one is asked for.
  std::vector<bool> given(kStreams);
  for (size_t left = kStreams; left > 0;) {
    const std::vector<size_t> now = making();
    ASSERT_LE(now.size(), kFit);
    for (const size_t i : now) {
      if (given[i]) continue;
      given[i] = true;
      --left;
      source(i)->put(std::string(kPiece, 'b'));
    }
    ASSERT_TRUE(client.run_until([&] {
      for (size_t i = 0; i < kStreams; ++i)
        if (given[i] && client.answers[ids[i]].body.size() != kPiece) return false;
      return left == 0 || !making().empty();
    }));
  }
  EXPECT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 0; }));
}

TEST_F(TightStreamTest, APieceInMakingIsForgottenWithItsClient) {
  {
    H2Client two(server_.port());
    const int32_t id = two.submit({.path = "/stream"});
    RawClient one(server_.port());
    ASSERT_TRUE(one.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    ASSERT_TRUE(two.run_until([&] { return made() == 2; }));
    for (size_t i = 0; i < 2; ++i) {
      source(i)->begin_making(100'000);
      ASSERT_TRUE(eventually([&] { return source(i)->bytes_in_making() > 0; }));
    }
    EXPECT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 200'000; }));
    two.reset(id);
    ASSERT_TRUE(two.flush());
    EXPECT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 100'000; }));
  }
  EXPECT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 0; }));
}

TEST_F(TightStreamTest, Http1TakesAPieceThatWasInMaking) {
  RawClient client(server_.port());
  ASSERT_TRUE(client.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  client.received.clear();
  source()->begin_making(2 << 20);  // more than there is room for
  ASSERT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 2 << 20; }));
  source()->put("hello");
  ASSERT_TRUE(client.receive_until("5\r\nhello\r\n"));
  EXPECT_TRUE(eventually([&] { return server_.counters().response_bytes_waiting == 0; }));
}

}  // namespace
}  // namespace tidemark::http::test
