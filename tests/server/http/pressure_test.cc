// The budgets, and clients that take their answers slowly or not at all.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

constexpr size_t kLarge = 1 << 20;

// Answers /large with kLarge bytes, at once.
void answer_large(Request request, Responder responder) {
  responder.respond({200, "", request.path == "/large" ? std::string(kLarge, 'x') : "small"});
}

// Watches the highest count of waiting bytes.
class Peak {
 public:
  explicit Peak(Server& server)
      : thread_([this, &server] {
          while (!done_) {
            const Counters c = server.counters();
            responses = std::max(responses, c.response_bytes_waiting);
            requests = std::max(requests, c.request_bytes_held);
            std::this_thread::sleep_for(std::chrono::microseconds(100));
          }
        }) {}
  ~Peak() { end(); }
  void end() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint64_t responses = 0, requests = 0;

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(Budget, AThousandLargeAnswersAtOnce) {
  Options options = quick_options();
  options.response_bytes_per_connection = 2 << 20;
  Server server(options);
  std::atomic<int> called{0};
  server.handler.on_request = [&](Request request, Responder responder) {
    ++called;
    answer_large(std::move(request), std::move(responder));
  };
  H2Client::Settings settings;
  settings.auto_window = false;  // takes nothing at first
  H2Client client(server.port(), settings);
  for (int i = 0; i < 1000; ++i) client.submit({.path = "/large", .body = "give"});
  Peak peak(server);
  ASSERT_TRUE(client.run_until([&] { return called >= 2; }));
  EXPECT_TRUE(server.serves_others());
  client.run_until([n = 0]() mutable { return ++n > 5; });
  EXPECT_LE(called, 2 + 2);  // two fill the budget; two were others
  // Now it reads.
  size_t given = 0;
  ASSERT_TRUE(client.run_until([&] {
    for (auto& [id, answer] : client.answers) {
      if (answer.body.empty()) continue;
      nghttp2_session_consume(client.session, id, answer.body.size());
      given += answer.body.size();
      answer.body.clear();
    }
    return client.closed >= 100;
  }));
  EXPECT_GE(given, 99 * kLarge);
  peak.end();
  EXPECT_LE(peak.responses, (2 << 20) + kLarge + 3 * options.unanswered_bytes);
  client.socket.close();
  EXPECT_TRUE(server.settles());
}

TEST(Budget, LargeAnswersFromOtherThreadsReserve) {
  Options options = quick_options();
  options.response_bytes_per_connection = 4 << 20;
  Server server(options);
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/other") return responder.respond({});
    responder.reserve(kLarge);
    shelf.put(std::move(request), std::move(responder));
  };
  H2Client client(server.port());
  for (int i = 0; i < 1000; ++i) client.submit({.path = "/large"});
  Peak peak(server);
  size_t most = 0;
  for (int answered = 0; answered < 1000;) {
    ASSERT_TRUE(client.run_until([&] { return shelf.size() > 0; }));
    auto entries = shelf.take();
    most = std::max(most, entries.size());
    for (auto& [request, responder] : entries) {
      responder.respond({200, "", std::string(answered < 50 ? kLarge : 10, 'x')});
      ++answered;
    }
  }
  ASSERT_TRUE(client.run_until([&] { return client.closed == 1000; }));
  peak.end();
  EXPECT_LE(most, 4u);
  EXPECT_LE(peak.responses, uint64_t{5 << 20});
  for (const auto& [id, answer] : client.answers) EXPECT_EQ(answer.status, 200);
  client.socket.close();
  EXPECT_TRUE(server.settles());
}

TEST(Budget, OfAllConnectionsTogether) {
  Options options = quick_options();
  options.loops = 2;
  options.response_bytes_total = 4 << 20;
  options.write_timeout_ms = 300;
  Server server(options);
  server.handler.on_request = answer_large;
  // Eight clients that ask for much and take nothing.
  H2Client::Settings settings;
  settings.auto_window = false;
  std::deque<H2Client> clients;
  for (int i = 0; i < 8; ++i) {
    H2Client& client = clients.emplace_back(server.port(), settings);
    for (int j = 0; j < 20; ++j) client.submit({.path = "/large"});
    client.flush();
  }
  ASSERT_TRUE(eventually([&] { return server.counters().response_bytes_waiting >= (4 << 20); }));
  EXPECT_LE(server.counters().response_bytes_waiting, (4 << 20) + 2 * kLarge + 20 * options.unanswered_bytes);
  // The others have to wait, but not for ever: the eight are timed out, one after the other.
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
  EXPECT_GE(server.counters().timeouts, 1u);
}

TEST(Budget, WhoReadsATrickleDoesNotHoldEveryoneUp) {
  Options options = quick_options();
  options.response_bytes_total = 1 << 20;
  options.write_timeout_ms = 300;
  options.min_progress_bytes = 1;  // so that every byte counts as progress
  Server server(options);
  server.handler.on_request = answer_large;
  H2Client::Settings settings;
  settings.auto_window = false;
  H2Client client(server.port(), settings);
  for (int i = 0; i < 4; ++i) client.submit({.path = "/large"});
  std::atomic<bool> served{false};
  std::thread other([&] {
    eventually([&] { return server.counters().response_bytes_waiting >= (1 << 20); });
    served = server.serves_others();
  });
  // Gives back a little at a time.
  client.run_until([&] {
    for (auto& [id, answer] : client.answers) {
      if (answer.closed || answer.body.size() < 65'000) continue;
      nghttp2_submit_window_update(client.session, 0, id, 50);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return served.load();
  });
  other.join();
  EXPECT_TRUE(served);
  EXPECT_TRUE(client.disconnected || client.run_until_closed());
}

TEST(Budget, ManyBodiesAtOnceDoNotLockEachOtherOut) {
  Options options = quick_options();
  options.request_bytes_per_connection = 1 << 20;
  options.stream_window_bytes = 16 << 10;
  Server server(options);
  server.handler.on_request = [](Request request, Responder responder) {
    responder.respond({200, "", std::to_string(request.body.size())});
  };
  for (const bool send_length : {true, false}) {
    H2Client client(server.port());
    std::map<int32_t, size_t> sizes;
    for (size_t i = 0; i < 300; ++i) {
      const size_t size = 10'000 + i * 1000;
      sizes[client.submit({.body = std::string(size, 'x'), .send_length = send_length, .headers = {}})] =
          size;
    }
    ASSERT_TRUE(client.run_until([&] { return client.closed == 300; })) << client.closed << send_length;
    for (const auto& [id, size] : sizes) EXPECT_EQ(client.answers[id].body, std::to_string(size));
  }
  // Larger than the connection's own budget, but legal.
  server.handler.limit = 4 << 20;
  H2Client client(server.port());
  EXPECT_EQ(client.ask({.body = std::string(3 << 20, 'x')}).body, std::to_string(3 << 20));
  client.socket.close();
  EXPECT_TRUE(server.settles());
}

TEST(Budget, RequestBodiesOfAllConnections) {
  Options options = quick_options();
  options.request_bytes_total = 1 << 20;
  options.stream_window_bytes = 64 << 10;
  options.request_timeout_ms = 400;
  Server server(options);
  server.handler.on_request = [](Request request, Responder responder) {
    responder.respond({200, "", std::to_string(request.body.size())});
  };
  // Twenty clients, a hundred half-sent bodies each: far beyond the budget.
  std::vector<std::thread> clients;
  Peak peak(server);
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back([&] {
      H2Client client(server.port());
      for (int j = 0; j < 100; ++j)
        client.submit({.body = std::string(60'000, 'x'), .end = false, .headers = {}});
      client.run_until([&] { return client.closed == 100; });
      for (const auto& [id, answer] : client.answers) EXPECT_EQ(answer.status, 408);
    });
  }
  EXPECT_TRUE(eventually([&] { return server.counters().request_bytes_held >= (1 << 20); }));
  EXPECT_TRUE(server.serves_others());
  for (std::thread& thread : clients) thread.join();
  peak.end();
  // Each connection may hold its first stream_window_bytes and one read on top.
  EXPECT_LE(peak.requests, uint64_t{(1 << 20) + 20 * (128 << 10)});
  EXPECT_TRUE(server.settles());
}

TEST(SlowClients, WhoStopsReadingIsClosed) {
  Options options = quick_options();
  options.write_timeout_ms = 200;
  Server server(options);
  server.handler.on_request = [](Request, Responder responder) {
    responder.respond({200, "", std::string(20 << 20, 'x')});
  };
  {
    RawClient one(server.port(), 4096);
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(one.receive_until("200 OK"));
    EXPECT_TRUE(eventually([&] { return server.counters().connections_open == 0; }));
    EXPECT_EQ(server.counters().timeouts, 1u);
  }
  {
    // By the socket.
    H2Client::Settings settings;
    settings.receive_buffer = 4096;
    settings.stream_window = 64 << 20;
    settings.connection_window = 64 << 20;
    H2Client two(server.port(), settings);
    two.submit({});
    two.flush();
    EXPECT_TRUE(eventually([&] { return server.counters().timeouts == 2; }));
  }
  {
    // By the window.
    H2Client::Settings settings;
    settings.auto_window = false;
    H2Client three(server.port(), settings);
    three.submit({});
    EXPECT_TRUE(three.run_until_closed());
    EXPECT_EQ(server.counters().timeouts, 3u);
  }
  EXPECT_TRUE(server.settles());
}

TEST(SlowClients, WhoReadsSlowlyIsServed) {
  Options options = quick_options();
  options.write_timeout_ms = 400;
  Server server(options);
  server.handler.on_request = [](Request, Responder responder) {
    responder.respond({200, "", std::string(8 << 20, 'x')});
  };
  RawClient client(server.port(), 4096);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  // Some 10 ms for each 64 KiB: more than a second in all, never 400 ms without progress.
  while (client.receive_once(kPatienceMs) > 0) {
    if (client.received.size() % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GE(client.received.size(), size_t{8 << 20});
  EXPECT_EQ(server.counters().timeouts, 0u);
}

}  // namespace
}  // namespace tidemark::http::test
