// What broken and hostile clients get: one plain sentence or a closed connection, in bounded time, with the
// others undisturbed.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "server/http/preface.h"
#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

// An HTTP/2 frame, by hand.
std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(size >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

// The headers of POST http://a/, compressed.
constexpr std::string_view kPost = "\x83\x86\x84\x41\x01\x61";

// What a client says first, and SETTINGS.
std::string opening() {
  return std::string(kHttp2Preface) + frame(NGHTTP2_SETTINGS, 0, 0, "");
}

// A plain-text answer of that status, then the end.
void expect_refusal(RawClient& client, int status) {
  ASSERT_TRUE(client.receive_to_end()) << "not closed in time";
  const std::string& got = client.received;
  EXPECT_TRUE(got.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << got;
  EXPECT_NE(got.find("Content-Type: text/plain\r\n"), std::string::npos) << got;
  EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos) << got;
  const std::string body = got.substr(got.find("\r\n\r\n") + 4);
  EXPECT_TRUE(body.ends_with('.')) << got;
  EXPECT_EQ(body.find('\n'), std::string::npos) << got;
}

TEST(BadInput, GarbageInsteadOfAPreface) {
  Server server;
  const std::string zeros(1000, '\0');
  for (const std::string& bytes :
       {zeros, std::string("\x16\x03\x01\x02\x00", 5), std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        std::string("\x80\x80\x80"), std::string("{}\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET /\r\n\r\n"), std::string("GET / HTTP/1.1\r\nNo colon\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"), std::string("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        std::string("GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        std::string(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc"),
        std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")}) {
    RawClient client(server.port());
    client.send(bytes);
    SCOPED_TRACE(bytes.substr(0, 80));
    expect_refusal(client, 400);
  }
  RawClient old(server.port());
  old.send("GET / HTTP/3.0\r\nHost: a\r\n\r\n");
  expect_refusal(old, 505);
  EXPECT_EQ(server.counters().requests, 0u);
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, BrokenHttp2IsClosed) {
  Server server;
  const std::string window("\x00\x00\x00\x00", 4);
  for (const std::string& bytes :
       {std::string(kHttp2Preface) + "garbage garbage garbage garbage",
        opening() + frame(NGHTTP2_DATA, 1, 1, "x"), opening() + frame(NGHTTP2_HEADERS, 4, 2, "\x82"),
        opening() + frame(NGHTTP2_HEADERS, 4, 1, "\xff\xff\xff\xff"),
        opening() + frame(NGHTTP2_WINDOW_UPDATE, 0, 0, window),
        opening() + frame(NGHTTP2_PING, 0, 0, "short"),
        opening() + frame(NGHTTP2_DATA, 1, 1, std::string(20'000, 'x')),
        opening() + frame(NGHTTP2_CONTINUATION, 4, 1, "\x82")}) {
    RawClient client(server.port());
    client.send(bytes);
    EXPECT_TRUE(client.receive_to_end());
  }
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, AConnectionThatSaysNothing) {
  Options options = quick_options();
  options.first_byte_timeout_ms = 100;
  Server server(options);
  RawClient client(server.port());
  EXPECT_TRUE(client.receive_to_end());
  EXPECT_EQ(client.received, "");
  EXPECT_EQ(server.counters().timeouts, 1u);
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, HalfSentRequests) {
  Options options = quick_options();
  options.request_timeout_ms = 100;
  Server server(options);
  {
    RawClient client(server.port());
    client.send("PRI * HT");
    EXPECT_TRUE(client.receive_to_end());
  }
  for (const char* bytes : {"G", "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: a\r\n",
                            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234",
                            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1234"}) {
    RawClient client(server.port());
    client.send(bytes);
    SCOPED_TRACE(bytes);
    expect_refusal(client, 408);
  }
  {
    // A byte now and then does not help.
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    int sent = 0;
    while (client.receive_once(5) < 0 && sent < 2000) {
      client.send("x");
      ++sent;
    }
    EXPECT_LT(sent, 2000);
    expect_refusal(client, 408);
  }
  {
    H2Client client(server.port());
    const int32_t half = client.submit({.body = "half", .end = false, .headers = {}});
    ASSERT_TRUE(client.run_until([&] { return client.answers[half].closed; }));
    EXPECT_EQ(client.answers[half].status, 408);
    EXPECT_EQ(client.answers[half].error, uint32_t{NGHTTP2_NO_ERROR});
    EXPECT_EQ(client.ask({.path = "/next"}).status, 200);
  }
  {
    RawClient client(server.port());
    client.send(opening() + frame(NGHTTP2_HEADERS, 0, 1, "\x82"));  // no END_HEADERS, nothing after it
    EXPECT_TRUE(client.receive_to_end());
  }
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, IdleConnectionsEnd) {
  Options options = quick_options();
  options.http1_idle_timeout_ms = 100;
  options.http2_idle_timeout_ms = 100;
  Server server(options);
  RawClient one(server.port());
  one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(one.receive_until("200 OK"));
  H2Client two(server.port());
  EXPECT_EQ(two.ask({}).status, 200);
  EXPECT_TRUE(one.receive_to_end());
  EXPECT_TRUE(two.run_until_closed());
  EXPECT_TRUE(two.goaway);
  EXPECT_EQ(two.goaway_error, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, HeadersOverTheLimit) {
  Server server;
  {
    RawClient client(server.port());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x'));
    expect_refusal(client, 431);
  }
  {
    RawClient client(server.port());
    client.send("GET /" + std::string(70'000, 'x'));
    expect_refusal(client, 431);
  }
  {
    // In small lines, one write each.
    RawClient client(server.port());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 5000; ++i) {
      if (!client.send("X-" + std::to_string(i) + ": yyyyyyyyyyyyyyyyyyyy\r\n")) break;
    }
    expect_refusal(client, 431);
  }
  {
    // A chunk's header, and trailers.
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                std::string(150'000, 'x'));
    expect_refusal(client, 431);
  }
  {
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 5000; ++i) {
      if (!client.send("X-" + std::to_string(i) + ": yyyyyyyyyyyyyyyyyyyy\r\n")) break;
    }
    EXPECT_TRUE(client.receive_to_end());
    EXPECT_TRUE(client.received.starts_with("HTTP/1.1 4")) << client.received;
  }
  {
    H2Client client(server.port());
    const H2Answer& large =
        client.ask({.headers = {{"x", std::string(40'000, 'x')}, {"y", std::string(30'000, 'y')}}});
    EXPECT_EQ(large.status, 431);
    EXPECT_EQ(large.headers.at("content-type"), "text/plain");
    EXPECT_EQ(client.ask({.path = "/next", .headers = {{"x", std::string(40'000, 'x')}}}).status, 200);
  }
  {
    // Many times the same entry of the table: a few bytes that become many.
    H2Client client(server.port());
    H2Request request;
    for (int i = 0; i < 2000; ++i) request.headers.emplace_back("bomb", std::string(1000, 'b'));
    EXPECT_EQ(client.ask(request).status, 431);
    EXPECT_EQ(client.ask({.path = "/next"}).status, 200);
  }
  {
    // CONTINUATION without end.
    RawClient client(server.port());
    std::string bytes = opening() + frame(NGHTTP2_HEADERS, 0, 1, "\x82");
    for (int i = 0; i < 1000; ++i) bytes += frame(NGHTTP2_CONTINUATION, 0, 1, "");
    client.send(bytes);
    EXPECT_TRUE(client.receive_to_end());
  }
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(BadInput, BodiesOverTheLimit) {
  Server server;
  server.handler.limit = 1000;
  {
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
    expect_refusal(client, 413);
  }
  {
    // The client sends it all the same, and more than any buffer between takes.
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
    const std::string piece(100'000, 'x');
    for (int i = 0; i < 100 && client.receive_once(0) < 0; ++i) {
      if (!client.send(piece)) break;
    }
    expect_refusal(client, 413);
  }
  for (const char* chunk : {"3E9\r\n", "FFFFFFFFFFFFFFFF\r\n"}) {
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunk);
    expect_refusal(client, 413);
  }
  {
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 300; ++i) client.send("4\r\nabcd\r\n");
    expect_refusal(client, 413);
  }
  H2Client client(server.port());
  for (const bool send_length : {true, false}) {
    const H2Answer& answer =
        client.ask({.body = std::string(200'000, 'x'), .send_length = send_length, .headers = {}});
    EXPECT_EQ(answer.status, 413);
    EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
    EXPECT_EQ(client.ask({.body = std::string(1000, 'x'), .send_length = send_length, .headers = {}}).status,
              200);
  }
  // Refused bodies give back their share of the connection's window: 100 MiB through one of 80.
  for (int i = 0; i < 1600; ++i) {
    ASSERT_EQ(client.ask({.body = std::string(65'000, 'x'), .send_length = false, .headers = {}}).status, 413)
        << i;
  }
  EXPECT_EQ(client.ask({.body = std::string(1000, 'x')}).status, 200);
  client.socket.close();
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(Floods, RapidResets) {
  Options options = quick_options();
  options.stream_reset_burst = 500;
  options.stream_resets_per_second = 10;
  Server server(options);
  H2Client client(server.port());
  // What a client that ends its watches does is allowed.
  for (int i = 0; i < 400; ++i) {
    const int32_t id = client.submit({.path = "/x"});
    client.flush();  // or the two would cancel out in the client
    client.reset(id);
  }
  EXPECT_EQ(client.ask({.path = "/alive"}).status, 200);
  bool open = true;
  for (int i = 0; i < 3000 && open; ++i) {
    const int32_t id = client.submit({.path = "/x"});
    open = client.flush();
    client.reset(id);
  }
  EXPECT_TRUE(client.run_until_closed());
  EXPECT_TRUE(client.goaway);
  EXPECT_EQ(server.counters().floods, 1u);
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(Floods, ResetsDoNotLiftTheLimitOnUnansweredRequests) {
  Options options = quick_options();
  options.unanswered_bytes = 1000;
  options.response_bytes_per_connection = 50'000;
  Server server(options);
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/other") return responder.respond({});
    shelf.put(std::move(request), std::move(responder));
  };
  H2Client client(server.port());
  for (size_t i = 1; i <= 50; ++i) {
    const int32_t id = client.submit({.path = "/x"});
    ASSERT_TRUE(client.run_until([&] { return shelf.size() == i; }));
    client.reset(id);
  }
  for (int i = 0; i < 500; ++i) {
    const int32_t id = client.submit({.path = "/x"});
    client.flush();
    client.reset(id);
  }
  client.submit({.path = "/last"});
  client.run_until([n = 0]() mutable { return ++n > 10; });
  EXPECT_TRUE(server.serves_others());
  EXPECT_EQ(shelf.size(), 50u);
  // Their answers, though no one waits for them any more, make room for the last.
  for (auto& [request, responder] : shelf.take()) responder.respond({});
  EXPECT_TRUE(eventually([&] { return shelf.size() == 1; }));
  shelf.take();
}

TEST(Floods, MoreStreamsThanAllowed) {
  Options options = quick_options();
  options.max_streams = 100;
  Server server(options);
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/other") return responder.respond({});
    shelf.put(std::move(request), std::move(responder));
  };
  RawClient client(server.port());
  client.send(opening() + frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, ""));
  std::string bytes;
  for (uint32_t i = 0; i < 1000; ++i) {
    bytes += frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1, kPost);
  }
  client.send(bytes);
  EXPECT_TRUE(client.receive_to_end());
  EXPECT_LE(shelf.size(), 100u);
  EXPECT_TRUE(server.serves_others());
  shelf.take();
  EXPECT_TRUE(server.settles());
}

TEST(Floods, ControlFrames) {
  Options options = quick_options();
  options.control_frame_burst = 1000;
  options.control_frames_per_second = 10;
  Server server(options);
  const std::string open_stream = frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, kPost);
  const std::string kinds[] = {
      frame(NGHTTP2_PING, 0, 0, "12345678"),
      frame(NGHTTP2_SETTINGS, 0, 0, ""),
      frame(NGHTTP2_PRIORITY, 0, 3, std::string("\0\0\0\0\x10", 5)),
      frame(NGHTTP2_DATA, 0, 1, ""),
  };
  uint64_t floods = 0;
  for (const std::string& kind : kinds) {
    RawClient client(server.port());
    std::string bytes = opening() + open_stream;
    for (int i = 0; i < 500; ++i) bytes += kind;
    client.send(bytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(server.counters().floods, floods);
    for (int i = 0; i < 100 && client.send(bytes.substr(opening().size() + open_stream.size())); ++i) {
    }
    EXPECT_TRUE(client.receive_to_end());
    EXPECT_EQ(server.counters().floods, ++floods) << static_cast<int>(kind[3]);
  }
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

// A client that makes the server reset its streams, in place of doing it itself.
TEST(Floods, ResetsByProvocation) {
  Options options = quick_options();
  options.control_frame_burst = 200;
  options.control_frames_per_second = 10;
  Server server(options);
  server.handler.on_request = [](Request, Responder responder) { responder.respond({}); };
  RawClient client(server.port());
  std::string bytes = opening();
  for (uint32_t i = 0; i < 1000; ++i) {
    bytes += frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, kPost);
    bytes += frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff");  // beyond what a window may be
  }
  client.send(bytes);
  EXPECT_TRUE(client.receive_to_end());
  EXPECT_GE(server.counters().floods, 1u);
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(Floods, PingsFromAClientThatDoesNotRead) {
  Options options = quick_options();
  options.write_timeout_ms = 300;
  options.control_frame_burst = 100'000'000;  // so that the other bounds are put to the test
  Server server(options);
  RawClient client(server.port(), 2048);
  client.send(opening());
  ASSERT_TRUE(eventually([&] { return server.counters().connections_open == 1; }));
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += frame(NGHTTP2_PING, 0, 0, "12345678");
  // Ends by nghttp2's bound on waiting acknowledgements, or by the write timeout.
  EXPECT_TRUE(eventually([&] {
    client.send_some(pings);
    return server.counters().connections_open == 0;
  }));
  EXPECT_TRUE(server.serves_others());
}

TEST(Floods, ConnectionsBeyondTheLimit) {
  Options options = quick_options();
  options.max_connections = 3;
  Server server(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(clients.back()->receive_until("200 OK"));
  }
  RawClient fourth(server.port());
  EXPECT_TRUE(fourth.receive_to_end());
  EXPECT_EQ(fourth.received, "");
  EXPECT_EQ(server.counters().connections_refused, 1u);
  EXPECT_EQ(server.counters().connections_open, 3u);
  clients[0]->send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(clients[0]->receive_until("/again"));
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return server.counters().connections_open == 2; }));
  RawClient fifth(server.port());
  fifth.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(fifth.receive_until("200 OK"));
}

TEST(Floods, NoFileHandlesLeft) {
  Server server;
  ASSERT_TRUE(server.serves_others());
  ASSERT_TRUE(server.settles());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(STDERR_FILENO);
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;  // one for the client, none for the server
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  RawClient client(server.port());
  EXPECT_TRUE(eventually([&] { return server.counters().accept_errors >= 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_LE(server.counters().accept_errors, 100u);  // a loop that spins makes thousands
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(client.receive_until("200 OK"));
}

}  // namespace
}  // namespace tidemark::http::test
