// What legal clients see: both protocols on one port, whatever way their bytes are cut.
#include <gtest/gtest.h>

#include <thread>

#include "server/http/output.h"
#include "server/http/preface.h"
#include "server/http/status_text.h"
#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

TEST(Preface, DecidesAsSoonAsItCan) {
  for (size_t n = 0; n < kHttp2Preface.size(); ++n)
    EXPECT_EQ(detect_protocol(kHttp2Preface.substr(0, n)), Protocol::kUndecided) << n;
  EXPECT_EQ(detect_protocol(kHttp2Preface), Protocol::kHttp2);
  EXPECT_EQ(detect_protocol(std::string(kHttp2Preface) + "more"), Protocol::kHttp2);
  for (const char* text :
       {"G", "PO", "PU", "PRO", "PRINT", "PRI / HTTP/1.1\r\n", "POST / HTTP/1.1", "\r\nGET"})
    EXPECT_EQ(detect_protocol(text), Protocol::kHttp1) << text;
  for (const char* text : {"P", "PR", "PRI"}) EXPECT_EQ(detect_protocol(text), Protocol::kUndecided) << text;
  EXPECT_EQ(detect_protocol("\x16\x03\x01"), Protocol::kTls);
  EXPECT_EQ(detect_protocol("PRI * HTTP/2.0\r\n\r\nXX"), Protocol::kGarbage);
  EXPECT_EQ(detect_protocol("PRI * HTTP/2.0\r\nHost: a"), Protocol::kGarbage);
  EXPECT_EQ(detect_protocol(std::string_view("\0\0", 2)), Protocol::kGarbage);
  EXPECT_EQ(detect_protocol("\xff"), Protocol::kGarbage);
}

TEST(StatusText, Date) {
  char date[kDateBytes];
  format_date(784111777, date);
  EXPECT_EQ(std::string(date, kDateBytes), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(status_text(404), "Not Found");
}

TEST(Output, BacklogKeepsWhatWasNotWritten) {
  const std::string large(10'000, 'L');
  for (size_t written = 0; written <= 10'010; written += 7) {
    Output output;
    output.copy("head:", 5);
    output.reference(large.data(), large.size());
    output.copy("tail:", 5);
    ASSERT_EQ(output.segments().size(), 3u);
    Backlog backlog;
    backlog.take(output, written);
    output.clear();
    output.copy("XXXXXXXXXXXXXXXX", 16);  // its buffer is used again
    std::string rest;
    while (!backlog.empty()) {
      const Segment first = backlog.segments()[0];
      const size_t piece = std::min<size_t>(first.size, 999);
      rest.append(first.data, piece);
      backlog.advance(piece);
    }
    ASSERT_EQ(rest, ("head:" + large + "tail:").substr(written)) << written;
  }
}

// A client that lets its bytes out in two parts, cut at `at`, or one by one.
void send_cut(RawClient& client, std::string_view bytes, size_t at) {
  client.send(bytes.substr(0, at));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  client.send(bytes.substr(at));
}

std::string first_h2_bytes(H2Client& client) {
  std::string bytes;
  for (;;) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(client.session, &data);
    if (size <= 0) return bytes;
    bytes.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
}

TEST(Protocols, Http2CutAtEveryByte) {
  Server server;
  for (size_t at = 1; at <= kHttp2Preface.size() + 12; ++at) {
    H2Client client(server.port());
    const int32_t id = client.submit({.path = "/a?b=c", .body = "hello"});
    send_cut(client.socket, first_h2_bytes(client), at);
    ASSERT_TRUE(client.run_until([&] { return client.answers[id].closed; })) << at;
    EXPECT_EQ(client.answers[id].status, 200);
    EXPECT_EQ(client.answers[id].body, "POST /a hello");
  }
}

TEST(Protocols, Http2ByteByByte) {
  Server server;
  H2Client client(server.port());
  const int32_t id = client.submit({.path = "/x", .body = "hello"});
  for (const char byte : first_h2_bytes(client)) {
    client.socket.send({&byte, 1});
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].body, "POST /x hello");
}

TEST(Protocols, Http1ByteByByte) {
  Server server;
  for (const std::string method : {"POST", "PUT", "PRINT", "PATCH", "P", "PR", "PRI"}) {
    RawClient client(server.port());
    const std::string bytes = method + " /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    for (const char byte : bytes) {
      client.send({&byte, 1});
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    EXPECT_TRUE(client.receive_until("\r\n\r\n" + method + " /x hi")) << method << client.received;
  }
}

TEST(Protocols, BothOnOnePortOverSeveralLoops) {
  Options options = quick_options();
  options.loops = 3;
  Server server(options);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(server.serves_others());
  EXPECT_EQ(server.counters().connections_total, 12u);
  EXPECT_EQ(server.counters().requests, 12u);
  EXPECT_EQ(server.counters().responses[2], 12u);
  EXPECT_TRUE(server.settles());
}

TEST(Http2, GivesTheHandlerWhatWasSent) {
  Server server;
  Request seen;
  server.handler.on_request = [&](Request request, Responder responder) {
    seen = std::move(request);
    responder.respond({404, "text/x", "no"});
  };
  H2Client client(server.port());
  const H2Answer& answer = client.ask({.path = "/p/q?r=s?t",
                                       .body = "b",
                                       .headers = {{"authorization", "Bearer abc"},
                                                   {"x-denokv-database-id", "id"},
                                                   {"x-transaction-domain-id", "old"},
                                                   {"x-denokv-version", "3"},
                                                   {"cookie", "c"}}});
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.headers.at("content-type"), "text/x");
  EXPECT_EQ(answer.headers.at("content-length"), "2");
  EXPECT_EQ(answer.headers.at("date").size(), kDateBytes);
  EXPECT_EQ(answer.body, "no");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/p/q");
  EXPECT_EQ(seen.query, "r=s?t");
  EXPECT_EQ(seen.host, "test");
  EXPECT_EQ(seen.authorization, "Bearer abc");
  EXPECT_EQ(seen.database_id, "id");
  EXPECT_EQ(seen.protocol_version, "3");
  EXPECT_EQ(seen.body, "b");
  EXPECT_FALSE(seen.secure);
}

TEST(Http1, GivesTheHandlerWhatWasSent) {
  Server server;
  Request seen;
  server.handler.on_request = [&](Request request, Responder responder) {
    seen = std::move(request);
    responder.respond({401, "text/x", "no"});
  };
  RawClient client(server.port());
  client.send(
      "\r\nPOST /p/q?r=s HTTP/1.1\r\nhost: h:1\r\nAUTHORIZATION: Bearer abc\r\nX-Denokv-Version: 2\r\n"
      "x-transaction-domain-id: old\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: "
      "u\r\n\r\n");
  ASSERT_TRUE(client.receive_until("\r\n\r\nno"));
  EXPECT_TRUE(client.received.starts_with(
      "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/x\r\nContent-Length: 2\r\n"));
  EXPECT_EQ(seen.path, "/p/q");
  EXPECT_EQ(seen.query, "r=s");
  EXPECT_EQ(seen.host, "h:1");
  EXPECT_EQ(seen.authorization, "Bearer abc");
  EXPECT_EQ(seen.database_id, "old");
  EXPECT_EQ(seen.protocol_version, "2");
  EXPECT_EQ(seen.body, "abcde");
  client.send("GET http://other:9/y HTTP/1.1\r\nHost: h\r\n\r\n");
  client.received.clear();
  ASSERT_TRUE(client.receive_until("\r\n\r\nno"));
  EXPECT_EQ(seen.host, "other:9");
  EXPECT_EQ(seen.path, "/y");
}

TEST(Http1, PipelinedRequestsAreAnsweredInOrder) {
  Server server;
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    shelf.put(std::move(request), std::move(responder));
  };
  std::string requests, expected;
  for (int i = 0; i < 200; ++i) {
    const std::string body(static_cast<size_t>(i * 7 % 500), 'b');
    requests += "POST /" + std::to_string(i) +
                " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    expected += "<" + std::to_string(i) + ":" + std::to_string(body.size()) + ">";
  }
  RawClient client(server.port());
  // In odd pieces.
  for (size_t at = 0; at < requests.size(); at += 1237)
    client.send(std::string_view(requests).substr(at, 1237));
  size_t most_at_once = 0;
  for (int answered = 0; answered < 200;) {
    ASSERT_TRUE(eventually([&] { return shelf.size() > 0; }));
    auto entries = shelf.take();
    most_at_once = std::max(most_at_once, entries.size());
    for (auto& [request, responder] : entries) {
      responder.respond(
          {200, "", "<" + request.path.substr(1) + ":" + std::to_string(request.body.size()) + ">"});
      ++answered;
    }
  }
  EXPECT_EQ(most_at_once, 1u);
  ASSERT_TRUE(client.receive_until("<199:"));
  std::string bodies;
  for (size_t at = 0; (at = client.received.find('<', at)) != std::string::npos; ++at)
    bodies += client.received.substr(at, client.received.find('>', at) - at + 1);
  EXPECT_EQ(bodies, expected);
}

TEST(Http1, HeadKeepAliveAndHttp10) {
  Server server;
  {
    RawClient client(server.port());
    client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ASSERT_TRUE(client.receive_to_end());
    EXPECT_NE(client.received.find("Content-Length: 8\r\n"), std::string::npos);
    EXPECT_EQ(client.received.find("HEAD /x"), std::string::npos) << client.received;
    EXPECT_NE(client.received.find("Connection: close\r\n\r\nGET /y "), std::string::npos) << client.received;
  }
  {
    RawClient client(server.port());
    client.send("GET /z HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(client.receive_to_end());
    EXPECT_NE(client.received.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.received.ends_with("GET /z "));
  }
  {
    RawClient client(server.port());
    client.send("GET /z HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    ASSERT_TRUE(client.receive_until("GET /z "));
    EXPECT_NE(client.received.find("Connection: keep-alive"), std::string::npos);
    client.send("GET /w HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(client.receive_to_end());
    EXPECT_TRUE(client.received.ends_with("GET /w "));
  }
  {
    // The client ends its side after the request, and still gets its answer.
    RawClient client(server.port());
    client.send("GET /z HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end_of_output();
    ASSERT_TRUE(client.receive_to_end());
    EXPECT_TRUE(client.received.ends_with("GET /z "));
  }
}

TEST(Http2, Head) {
  Server server;
  H2Client client(server.port());
  const H2Answer& answer = client.ask({.method = "HEAD", .path = "/x"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-length"), "8");
  EXPECT_EQ(answer.body, "");
}

TEST(Http1, ExpectContinue) {
  Server server;
  RawClient client(server.port());
  client.send("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(client.receive_until("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("abc");
  ASSERT_TRUE(client.receive_until("POST /x abc"));
  client.send("POST /y HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n");
  ASSERT_TRUE(client.receive_to_end());
  EXPECT_NE(client.received.find("HTTP/1.1 413 Content Too Large"), std::string::npos);
  RawClient other(server.port());
  other.send("POST /y HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 2\r\n\r\n");
  ASSERT_TRUE(other.receive_to_end());
  EXPECT_NE(other.received.find("HTTP/1.1 417 "), std::string::npos);
}

TEST(Http2, ExpectContinue) {
  Server server;
  H2Client client(server.port());
  const H2Answer& answer = client.ask({.path = "/x", .body = "abc", .headers = {{"expect", "100-continue"}}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST /x abc");
}

TEST(Answers, LargeOnesArriveWhole) {
  Server server;
  server.handler.on_request = [](Request request, Responder responder) {
    std::string body(static_cast<size_t>(std::stoul(request.path.substr(1))), ' ');
    for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + (i / 1000 + i) % 26);
    responder.respond({200, "", std::move(body)});
  };
  const auto right = [](const std::string& body, size_t size) {
    if (body.size() != size) return false;
    for (size_t i = 0; i < size; ++i)
      if (body[i] != static_cast<char>('a' + (i / 1000 + i) % 26)) return false;
    return true;
  };
  H2Client client(server.port());
  std::map<int32_t, size_t> sizes;
  for (const size_t size : {0, 1, 15, 16, 4095, 4096, 4097, 16384, 16385, 70'000, 300'000, 5'000'000}) {
    sizes[client.submit({.method = "GET", .path = "/" + std::to_string(size)})] = size;
    RawClient raw(server.port(), 4096);
    raw.send("GET /" + std::to_string(size) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ASSERT_TRUE(raw.receive_to_end());
    EXPECT_TRUE(right(raw.received.substr(raw.received.find("\r\n\r\n") + 4), size)) << size;
  }
  ASSERT_TRUE(client.run_until([&] { return client.closed == sizes.size(); }));
  for (const auto& [id, size] : sizes) EXPECT_TRUE(right(client.answers[id].body, size)) << size;
  client.socket.close();
  EXPECT_TRUE(server.settles());
}

TEST(Answers, FromOtherThreadsAndTwiceAndNever) {
  Server server;
  server.handler.on_request = [](Request request, Responder responder) {
    if (request.path == "/drop") return;
    if (request.path == "/throw") throw std::runtime_error("x");
    if (request.path == "/twice") {
      const Responder copy = responder;
      copy.respond({200, "", "first"});
      responder.respond({200, "", "second"});
      return;
    }
    std::thread([request = std::move(request), responder = std::move(responder)]() mutable {
      if (request.path == "/drop-elsewhere") {
        const Responder dropped = std::move(responder);
      } else {
        responder.respond({200, "", "thread"});
      }
    }).detach();
  };
  H2Client client(server.port());
  const auto ask = [&](const char* path) { return client.ask({.method = "GET", .path = path}); };
  EXPECT_EQ(ask("/drop").status, 500);
  EXPECT_EQ(ask("/throw").status, 500);
  EXPECT_EQ(ask("/drop-elsewhere").status, 500);
  EXPECT_EQ(ask("/drop-elsewhere").headers.at("content-type"), "text/plain");
  EXPECT_EQ(ask("/twice").body, "first");
  EXPECT_EQ(ask("/thread").body, "thread");
  RawClient raw(server.port());
  raw.send("GET /drop HTTP/1.1\r\nHost: a\r\n\r\nGET /thread HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(raw.receive_until("thread"));
  EXPECT_TRUE(raw.received.starts_with("HTTP/1.1 500 Internal Server Error"));
  client.socket.close();
  raw.close();
  EXPECT_TRUE(server.settles());
}

TEST(Answers, AfterTheClientIsGone) {
  Server server;
  Shelf shelf;
  server.handler.on_request = [&](Request request, Responder responder) {
    shelf.put(std::move(request), std::move(responder));
  };
  {
    H2Client client(server.port());
    for (int i = 0; i < 10; ++i) client.submit({.path = "/x", .body = "y"});
    ASSERT_TRUE(client.run_until([&] { return shelf.size() == 10; }));
    RawClient raw(server.port());
    raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return shelf.size() == 11; }));
    // One stream is gone, its connection not.
    client.reset(1);
    client.flush();
  }
  ASSERT_TRUE(eventually([&] { return server.counters().connections_open <= 1; }));
  // Connections come and go in the same places.
  server.handler.on_request = [](Request, Responder responder) { responder.respond({}); };
  EXPECT_TRUE(server.serves_others());
  for (auto& [request, responder] : shelf.take()) responder.respond({200, "", std::string(100'000, 'x')});
  EXPECT_TRUE(server.serves_others());
  EXPECT_TRUE(server.settles());
}

TEST(Answers, AfterTheListenerIsGone) {
  Shelf shelf;
  {
    Server server;
    server.handler.on_request = [&](Request request, Responder responder) {
      shelf.put(std::move(request), std::move(responder));
    };
    H2Client client(server.port());
    for (int i = 0; i < 4; ++i) client.submit({.path = "/x", .body = "y"});
    ASSERT_TRUE(client.run_until([&] { return shelf.size() == 4; }));
    server.listener.reset();
    EXPECT_TRUE(client.run_until_closed());
  }
  auto entries = shelf.take();
  entries[0].second.respond({200, "", "late"});
  entries[1].second.respond({200, "", "late"});
  entries.clear();  // the others without an answer
}

TEST(Listener, RefusesBadAddresses) {
  TestHandler handler;
  for (const char* address :
       {"", "nonsense", ":80", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:8x", "::1:80"}) {
    Options options;
    options.address = address;
    const auto made = Listener::create(options, handler);
    ASSERT_FALSE(made) << address;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument) << address;
  }
  Server server;
  Options options;
  options.address = server.listener->address();
  EXPECT_EQ(options.address, "127.0.0.1:" + std::to_string(server.port()));
  const auto taken = Listener::create(options, handler);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace tidemark::http::test
