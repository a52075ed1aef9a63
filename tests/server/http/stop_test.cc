// Ending the server with clients in all states.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

// Runs stop() beside the test.
class Stopping {
 public:
  Stopping(Server& server, int64_t grace_ms)
      : thread_([this, &server, grace_ms] {
          clean = server.listener->stop(grace_ms);
          done = true;
        }) {}
  ~Stopping() { wait(); }
  void wait() {
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<bool> done{false};
  std::atomic<bool> clean{false};

 private:
  std::thread thread_;
};

bool can_connect(uint16_t port) {
  RawClient client(port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return client.receive_until("200 OK");
}

TEST(Stop, FinishesWhatItHasAccepted) {
  Options options = quick_options();
  options.loops = 2;
  Server server(options);
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/first") return responder.respond({200, "", "first"});
    shelf.put(std::move(request), std::move(responder));
  };
  // Idle ones.
  RawClient idle1(server.port());
  idle1.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(idle1.receive_until("first"));
  RawClient silent(server.port());
  H2Client idle2(server.port());
  ASSERT_EQ(idle2.ask({.path = "/first"}).status, 200);
  // Ones with requests in flight.
  RawClient busy1(server.port());
  busy1.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  H2Client busy2(server.port());
  for (int i = 0; i < 10; ++i) busy2.submit({.path = "/b", .body = "y"});
  ASSERT_TRUE(busy2.run_until([&] { return shelf.size() == 11; }));
  // And one that is half sent.
  RawClient half(server.port());
  half.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
  ASSERT_TRUE(eventually([&] { return server.counters().request_bytes_held >= 12; }));

  Stopping stopping(server, kPatienceMs);
  EXPECT_TRUE(idle1.receive_to_end());
  EXPECT_TRUE(silent.receive_to_end());
  EXPECT_TRUE(idle2.run_until_closed());
  EXPECT_TRUE(idle2.goaway);
  idle1.close();
  idle2.socket.close();
  ASSERT_TRUE(busy2.run_until([&] { return busy2.goaway && busy2.goaway_last != INT32_MAX; }));
  EXPECT_EQ(busy2.goaway_error, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(busy2.goaway_last, 19);
  EXPECT_FALSE(stopping.done);
  half.send("y");
  EXPECT_TRUE(half.receive_to_end());
  EXPECT_NE(half.received.find("200 OK"), std::string::npos);
  half.close();
  for (auto& [request, responder] : shelf.take()) responder.respond({200, "", "done " + request.path});
  EXPECT_TRUE(busy1.receive_to_end());
  EXPECT_NE(busy1.received.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(busy1.received.ends_with("done /a")) << busy1.received;
  busy1.close();
  EXPECT_TRUE(busy2.run_until_closed());
  busy2.socket.close();
  EXPECT_EQ(busy2.answers.size(), 10u);
  for (const auto& [id, answer] : busy2.answers) EXPECT_EQ(answer.body, "done /b");
  stopping.wait();
  EXPECT_TRUE(stopping.clean);
  EXPECT_EQ(server.counters().connections_open, 0u);
}

TEST(Stop, FinishesLargeAnswers) {
  Server server;
  server.handler.on_request = [](Request, Responder responder) {
    responder.respond({200, "", std::string(10 << 20, 'x')});
  };
  RawClient one(server.port(), 4096);
  one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(one.receive_until("200 OK"));
  H2Client two(server.port());
  const int32_t id = two.submit({});
  ASSERT_TRUE(two.run_until([&] { return !two.answers[id].body.empty(); }));
  Stopping stopping(server, kPatienceMs);
  EXPECT_TRUE(two.run_until([&] { return two.answers[id].closed; }));
  EXPECT_EQ(two.answers[id].body.size(), size_t{10 << 20});
  EXPECT_TRUE(one.receive_to_end());
  EXPECT_GE(one.received.size(), size_t{10 << 20});
  EXPECT_TRUE(two.run_until_closed());
  one.close();
  two.socket.close();
  stopping.wait();
  EXPECT_TRUE(stopping.clean);
}

TEST(Stop, CutsOffAfterTheDeadline) {
  Server server;
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    shelf.put(std::move(request), std::move(responder));
  };
  RawClient one(server.port());
  one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  H2Client two(server.port());
  two.submit({});
  ASSERT_TRUE(two.run_until([&] { return shelf.size() == 2; }));
  EXPECT_FALSE(server.listener->stop(100));
  EXPECT_TRUE(server.listener->stop(100));
  EXPECT_TRUE(one.receive_to_end());
  EXPECT_TRUE(two.run_until_closed());
  for (auto& [request, responder] : shelf.take()) responder.respond({200, "", "late"});
  EXPECT_EQ(server.counters().connections_open, 0u);
}

TEST(Stop, WithoutClientsAndWithoutStart) {
  Server server;
  EXPECT_TRUE(can_connect(server.port()));
  EXPECT_TRUE(server.listener->stop(kPatienceMs));
  TestHandler handler;
  auto unstarted = Listener::create(quick_options(), handler);
  ASSERT_TRUE(unstarted);
  EXPECT_NE((*unstarted)->port(), 0);
}

TEST(Stop, UnderLoad) {
  for (int round = 0; round < 5; ++round) {
    Options options = quick_options();
    options.loops = 2;
    Server server(options);
    std::atomic<int> answered{0};
    std::atomic<bool> halt{false};
    std::deque<H2Client> connections;
    std::vector<std::thread> clients;
    for (int i = 0; i < 3; ++i) connections.emplace_back(server.port());
    ASSERT_TRUE(eventually([&] { return server.counters().connections_open == 3; }));
    for (H2Client& client : connections) {
      clients.emplace_back([&] {
        size_t sent = 0, counted = 0;
        client.run_until([&] {
          while (!client.goaway && !halt && sent - client.closed < 50) {
            client.submit({.path = "/x", .body = "y"});
            ++sent;
          }
          answered += static_cast<int>(client.closed - std::exchange(counted, client.closed));
          return client.goaway && client.closed == sent;
        });
        // Every stream at or below the last that the server named got its answer.
        for (const auto& [id, answer] : client.answers) {
          if (id <= client.goaway_last) {
            EXPECT_EQ(answer.status, 200) << id << " of " << client.goaway_last;
          }
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return answered > 200; }));
    EXPECT_TRUE(server.listener->stop(kPatienceMs));
    halt = true;
    for (std::thread& thread : clients) thread.join();
  }
}

}  // namespace
}  // namespace tidemark::http::test
