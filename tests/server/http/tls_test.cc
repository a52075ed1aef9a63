// Clients over TLS, legal and not.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "server/http/tls_stream.h"
#include "tests/server/http/certificates.h"
#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

constexpr char kGet[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

// Not the same anywhere, so that pieces cannot change places.
std::string pattern(size_t size) {
  std::string bytes(size, ' ');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + (i / 1000 + i) % 26);
  return bytes;
}

class Tls : public ::testing::Test {
 protected:
  // Whether a new connection is served as if nothing were.
  static bool serves(Server& server) {
    H2Client two(server.port(), {.tls = true});
    RawClient one(server.port());
    return two.ask({.path = "/y"}).status == 200 && one.start_tls() && one.send(kGet) &&
           one.receive_until("GET /x ");
  }

  // The answer to a request by HTTP/1.1.
  static std::string ask1(RawClient& client, const std::string& request) {
    if (!client.send(request) || !client.receive_to_end()) return "none";
    return client.received;
  }

  CertificateFiles files_;
};

TEST_F(Tls, AlpnChoosesTheProtocol) {
  Server server(files_.options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& [offered, chosen] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{}, ""},
             {{"http/1.1"}, "http/1.1"},
             {{"http/1.1", "h2"}, "h2"},
             {{"h3", "h2"}, "h2"},
             {{"http/1.0", "http/1.1"}, "http/1.1"}}) {
      RawClient client(server.port());
      ASSERT_TRUE(client.start_tls({.protocols = offered, .min_version = version, .max_version = version}));
      EXPECT_EQ(client.tls().protocol(), chosen);
      EXPECT_EQ(client.tls().version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
      if (chosen == "h2") continue;
      client.send(kGet);
      EXPECT_TRUE(client.receive_until("\r\n\r\nGET /x "));
    }
  }
  RawClient unknown(server.port());
  EXPECT_FALSE(unknown.start_tls({.protocols = {"spdy/3"}}) && unknown.send(kGet) &&
               unknown.receive_until("GET"));
  RawClient old(server.port());
  EXPECT_FALSE(old.start_tls({.min_version = TLS1_VERSION, .max_version = TLS1_1_VERSION}));
  EXPECT_TRUE(serves(server));
}

TEST_F(Tls, WhatAlpnChoseIsSpoken) {
  Server server(files_.options());
  {
    // HTTP/1.1 where HTTP/2 was agreed.
    RawClient client(server.port());
    ASSERT_TRUE(client.start_tls({.protocols = {"h2"}}));
    client.send(kGet);
    EXPECT_TRUE(client.receive_to_end());
    EXPECT_EQ(client.received.find("200"), std::string::npos);
  }
  for (const std::vector<std::string>& offered : {std::vector<std::string>{"http/1.1"}, {}}) {
    // And the reverse: HTTP/2's preface is not looked for.
    RawClient client(server.port());
    ASSERT_TRUE(client.start_tls({.protocols = offered}));
    EXPECT_TRUE(ask1(client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").starts_with("HTTP/1.1 505 "));
  }
  EXPECT_EQ(server.counters().requests, 0u);
}

TEST_F(Tls, RequestsAreSecure) {
  Server server(files_.options());
  std::atomic<int> secure = 0;
  server.handler.on_request = [&](Request request, Responder responder) {
    secure += request.secure ? 1 : 0;
    responder.respond({200, "", "GET /x "});
  };
  EXPECT_TRUE(serves(server));
  H2Client client(server.port(), {.tls = true});
  for (int i = 0; i < 3; ++i) client.ask({});
  EXPECT_EQ(secure, 5);
}

TEST_F(Tls, LargeBodiesBothWays) {
  Server server(files_.options());
  server.handler.limit = 8 << 20;
  server.handler.on_request = [](Request request, Responder responder) {
    responder.respond({200, "", std::move(request.body)});
  };
  const std::string body = pattern(5'000'001);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    // The small receive buffer makes the server wait often.
    RawClient one(server.port(), 4096);
    ASSERT_TRUE(one.start_tls({.min_version = version, .max_version = version}));
    one.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n");
    for (size_t at = 0; at < body.size(); at += 100'000) one.send(body.substr(at, 100'000));
    ASSERT_TRUE(one.receive_to_end());
    EXPECT_EQ(one.received.substr(one.received.find("\r\n\r\n") + 4), body);
    EXPECT_TRUE(one.tls().ended);
  }
  for (const int receive_buffer : {0, 4096}) {
    H2Client two(server.port(), {.receive_buffer = receive_buffer, .tls = true});
    std::vector<int32_t> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(two.submit({.body = body}));
    ASSERT_TRUE(two.run_until([&] { return two.closed == ids.size(); }));
    for (const int32_t id : ids) EXPECT_EQ(two.answers[id].body, body);
  }
  EXPECT_TRUE(server.settles());
}

TEST_F(Tls, AnswersOfEverySize) {
  Server server(files_.options());
  server.handler.on_request = [](Request request, Responder responder) {
    responder.respond({200, "", pattern(std::stoul(request.path.substr(1)))});
  };
  H2Client two(server.port(), {.tls = true});
  RawClient one(server.port());
  ASSERT_TRUE(one.start_tls());
  std::map<int32_t, size_t> sizes;
  // Around a record, a sealed piece, and a turn.
  for (const size_t near : {0 << 10, 4 << 10, 16 << 10, 64 << 10, 128 << 10, 1 << 20}) {
    for (const size_t size : {near, near + 1, near + 200, near - std::min<size_t>(near, 120)}) {
      const std::string path = "/" + std::to_string(size);
      sizes[two.submit({.method = "GET", .path = path})] = size;
      one.received.clear();
      one.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
      ASSERT_TRUE(one.receive_until("\r\n\r\n"));
      const size_t head = one.received.find("\r\n\r\n") + 4;
      while (one.received.size() < head + size) ASSERT_GT(one.receive_once(kPatienceMs), 0);
      EXPECT_EQ(one.received.substr(head), pattern(size));
    }
  }
  ASSERT_TRUE(two.run_until([&] { return two.closed == sizes.size(); }));
  for (const auto& [id, size] : sizes) EXPECT_EQ(two.answers[id].body, pattern(size)) << size;
}

TEST_F(Tls, SmallAnswersShareWrites) {
  Server server(files_.options());
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/held") return shelf.put(std::move(request), std::move(responder));
    // The last one brings the answers to all, in one turn.
    for (auto& [held, other] : shelf.take()) other.respond({200, "", held.body});
    responder.respond({200, "", "last"});
  };
  H2Client client(server.port(), {.tls = true});
  for (int i = 0; i < 100; ++i) client.submit({.path = "/held", .body = pattern(100)});
  ASSERT_TRUE(client.run_until([&] { return shelf.size() == 100; }));
  const uint64_t before = server.counters().writes;
  EXPECT_EQ(client.ask({.path = "/last"}).body, "last");
  ASSERT_TRUE(client.run_until([&] { return client.closed == 101; }));
  EXPECT_LE(server.counters().writes - before, 5u);
}

TEST_F(Tls, HandshakeByteByByte) {
  Server server(files_.options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RawClient client(server.port());
    client.piece_bytes = 1;
    ASSERT_TRUE(client.start_tls({.min_version = version, .max_version = version}));
    client.send(kGet);
    EXPECT_TRUE(client.receive_until("\r\n\r\nGET /x "));
  }
}

TEST_F(Tls, HandshakesThatDoNotFinish) {
  Options options = files_.options();
  options.first_byte_timeout_ms = 100;
  options.request_timeout_ms = 150;
  Server server(options);
  RawClient silent(server.port());
  EXPECT_TRUE(silent.receive_to_end());
  TlsClient hello({});
  hello.handshake();
  ASSERT_GT(hello.to_send.size(), 100u);
  for (const size_t sent : {size_t{1}, size_t{50}, hello.to_send.size()}) {
    RawClient half(server.port());
    half.send(hello.to_send.substr(0, sent));
    EXPECT_TRUE(half.receive_to_end());
  }
  {
    // A byte now and then does not help.
    RawClient slow(server.port());
    size_t sent = 0;
    while (slow.receive_once(5) < 0 && sent < hello.to_send.size()) slow.send({&hello.to_send[sent++], 1});
    EXPECT_LT(sent, hello.to_send.size());
  }
  {
    // Nor does a whole handshake and nothing after it.
    RawClient idle(server.port());
    ASSERT_TRUE(idle.start_tls());
    EXPECT_TRUE(idle.receive_to_end());
  }
  EXPECT_EQ(server.counters().timeouts, 6u);
  EXPECT_TRUE(serves(server));
  EXPECT_TRUE(server.settles());
}

TEST_F(Tls, GarbageInPlaceOfTls) {
  Server server(files_.options());
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'x'), std::string(100, '\x16'),
        std::string("\x16\x03\x01\x00\x05hello", 10)}) {
    RawClient client(server.port());
    client.send(garbage);
    EXPECT_TRUE(client.receive_to_end());
    EXPECT_EQ(client.received.find("HTTP"), std::string::npos);
  }
  for (const char* protocol : {"h2", "http/1.1"}) {
    // After the handshake, with half a request before it and without.
    const char* const half = std::string_view(protocol) == "h2" ? "PRI * HTTP/" : "GET / HTTP/";
    for (const char* before : {"", half}) {
      RawClient client(server.port());
      ASSERT_TRUE(client.start_tls({.protocols = {protocol}}));
      client.send(before);
      client.send_raw(std::string(5000, '\x17'));
      EXPECT_TRUE(client.receive_to_end());
      EXPECT_EQ(client.received.find("HTTP"), std::string::npos);
      EXPECT_TRUE(client.tls().failed);  // it has come as an alert
    }
  }
  EXPECT_TRUE(serves(server));
  EXPECT_TRUE(server.settles());
}

TEST_F(Tls, CleartextClientsAreTold) {
  Server server(files_.options());
  for (const std::string& request :
       {std::string(kGet), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string("G"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x')}) {
    RawClient client(server.port());
    client.send(request);
    EXPECT_TRUE(client.receive_to_end());
    EXPECT_TRUE(client.received.starts_with("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"));
    EXPECT_TRUE(client.received.ends_with("\r\n\r\nThis port takes HTTPS, not plain HTTP."));
  }
  EXPECT_EQ(server.counters().responses[4], 4u);
  EXPECT_EQ(server.counters().requests, 0u);
  EXPECT_TRUE(serves(server));
  EXPECT_TRUE(server.settles());
}

TEST_F(Tls, EndsAreSaid) {
  Server server(files_.options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const TlsOffer offer = {.min_version = version, .max_version = version};
    {
      RawClient client(server.port());
      ASSERT_TRUE(client.start_tls(offer));
      EXPECT_TRUE(
          ask1(client, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("GET /x "));
      EXPECT_TRUE(client.tls().ended);
    }
    {
      // The client says so right behind its request, and still gets its answer.
      RawClient client(server.port());
      ASSERT_TRUE(client.start_tls(offer));
      client.send(kGet);
      client.end_of_output();
      EXPECT_TRUE(client.receive_to_end());
      EXPECT_TRUE(client.received.ends_with("GET /x "));
      EXPECT_TRUE(client.tls().ended);
    }
    {
      // Instead of a request.
      RawClient client(server.port());
      ASSERT_TRUE(client.start_tls(offer));
      client.end_of_output();
      EXPECT_TRUE(client.receive_to_end());
      EXPECT_TRUE(client.tls().ended);
    }
  }
  EXPECT_TRUE(server.settles());
}

TEST_F(Tls, RenegotiationIsRefused) {
  Server server(files_.options());
  RawClient client(server.port());
  ASSERT_TRUE(client.start_tls({.max_version = TLS1_2_VERSION}));
  client.send(kGet);
  ASSERT_TRUE(client.receive_until("GET /x "));
  ASSERT_EQ(SSL_renegotiate(client.tls().ssl()), 1);
  EXPECT_EQ(client.tls().handshake(), 0);  // it has asked
  client.send("");
  const int end = client.receive_once(kPatienceMs);
  EXPECT_EQ(end, 0);
  EXPECT_TRUE(client.tls().failed);  // "no renegotiation"
  EXPECT_TRUE(serves(server));
}

TEST_F(Tls, ClientsThatDoNotRead) {
  Options options = files_.options();
  options.write_timeout_ms = 200;
  Server server(options);
  server.handler.on_request = [](Request, Responder responder) {
    responder.respond({200, "", std::string(10 << 20, 'x')});
  };
  RawClient one(server.port(), 4096);
  ASSERT_TRUE(one.start_tls());
  one.send(kGet);
  H2Client two(server.port(), {.stream_window = 16 << 20, .receive_buffer = 4096, .tls = true});
  two.submit({});
  two.flush();
  ASSERT_TRUE(eventually([&] { return server.counters().response_bytes_waiting > 10 << 20; }));
  EXPECT_TRUE(eventually([&] { return server.counters().timeouts == 2; }));
  EXPECT_TRUE(server.settles());
}

// Each record of a client asks for one in return.
TEST_F(Tls, WhatAClientDoesNotTakeIsNoticed) {
  const auto context = TlsContext::load(files_.chain_path(), files_.key_path());
  ASSERT_TRUE(context.has_value());
  TlsBuffers buffers;
  TlsStream stream((*context)->new_connection(), buffers);
  TlsClient client({});
  const auto to_server = [&] {
    const std::string bytes = std::exchange(client.to_send, {});
    stream.feed(bytes);
    return std::string(stream.open());
  };
  const auto to_client = [&] {
    client.feed(stream.sealed());
    stream.sent(stream.sealed().size());
    EXPECT_TRUE(stream.sealed().empty());
    return client.open(100);
  };
  while (client.handshake() == 0) {
    to_server();
    to_client();
  }
  to_server();
  ASSERT_EQ(stream.state(), TlsStream::State::kOpen);
  to_client();
  EXPECT_FALSE(stream.congested());
  int updates = 0;
  for (; updates < 20'000 && !stream.congested(); ++updates) {
    SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    client.handshake();
    to_server();
  }
  EXPECT_LT(updates, 20'000);
  to_client();
  EXPECT_FALSE(stream.congested());
  client.seal("hello");
  EXPECT_EQ(to_server(), "hello");
  const Segment answer[] = {{"wor", 3}, {"ld", 2}};
  size_t done = 1;
  EXPECT_TRUE(stream.seal(answer, done));
  EXPECT_EQ(done, 5u);
  EXPECT_EQ(to_client(), "orld");
}

TEST_F(Tls, StopWithConnectionsInEveryState) {
  Options options = files_.options();
  options.loops = 2;
  Server server(options);
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    if (request.path == "/x") return responder.respond({200, "", "GET /x "});
    shelf.put(std::move(request), std::move(responder));
  };
  RawClient silent(server.port()), half(server.port()), fresh(server.port()), idle1(server.port()),
      busy1(server.port());
  TlsClient hello({});
  hello.handshake();
  half.send(hello.to_send.substr(0, 50));
  ASSERT_TRUE(fresh.start_tls() && idle1.start_tls() && busy1.start_tls());
  idle1.send(kGet);
  ASSERT_TRUE(idle1.receive_until("GET /x "));
  H2Client idle2(server.port(), {.tls = true}), busy2(server.port(), {.tls = true});
  ASSERT_EQ(idle2.ask({.path = "/x"}).status, 200);
  busy1.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
  const int32_t id = busy2.submit({.path = "/held"});
  ASSERT_TRUE(busy2.run_until([&] { return shelf.size() == 2; }));

  bool clean = false;
  std::thread stopping([&] { clean = server.listener->stop(kPatienceMs); });
  EXPECT_TRUE(silent.receive_to_end());
  EXPECT_TRUE(half.receive_to_end());
  EXPECT_TRUE(fresh.receive_to_end());
  EXPECT_TRUE(fresh.tls().ended);
  EXPECT_TRUE(idle1.receive_to_end());
  EXPECT_TRUE(idle1.tls().ended);
  EXPECT_TRUE(idle2.run_until_closed());
  EXPECT_TRUE(idle2.goaway);
  EXPECT_TRUE(idle2.socket.tls().ended);
  for (RawClient* client : {&fresh, &idle1, &idle2.socket}) client->close();
  for (auto& [request, responder] : shelf.take()) responder.respond({200, "", "done"});
  EXPECT_TRUE(busy1.receive_to_end());
  EXPECT_TRUE(busy1.received.ends_with("done"));
  EXPECT_TRUE(busy1.tls().ended);
  EXPECT_TRUE(busy2.run_until_closed());
  EXPECT_EQ(busy2.answers[id].body, "done");
  busy1.close();
  busy2.socket.close();
  stopping.join();
  EXPECT_TRUE(clean);
}

TEST_F(Tls, ManyHandshakesAtOnce) {
  Options options = files_.options();
  options.loops = 2;
  options.max_connections = 50;
  Server server(options);
  // All that may be open, in the middle of their handshakes; and then one more.
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send("\x16");
  }
  ASSERT_TRUE(eventually([&] { return server.counters().connections_open == 50; }));
  RawClient refused(server.port());
  EXPECT_FALSE(refused.start_tls());
  EXPECT_EQ(server.counters().connections_refused, 1u);
  clients.clear();
  ASSERT_TRUE(server.settles());
  // As many as may be, all at the same time, several times.
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 10; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        RawClient client(server.port());
        if (client.start_tls() && client.send(kGet) && client.receive_until("GET /x ")) ++served;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, 100);
  EXPECT_TRUE(server.settles());
}

}  // namespace
}  // namespace tidemark::http::test
