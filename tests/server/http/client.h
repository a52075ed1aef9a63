// Clients and a server for the tests of the HTTP layer: a raw socket, an HTTP/2 client, a Handler made of
// functions.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/sync.h"
#include "server/http/listener.h"
#include "tests/server/http/tls_client.h"

namespace tidemark::http::test {

// Waiting that a correct server ends long before.
inline constexpr int kPatienceMs = 20'000;

// Repeats until true; false after kPatienceMs.
bool eventually(const std::function<bool()>& condition);

// A blocking TCP connection to 127.0.0.1, which may be made to speak TLS.
class RawClient {
 public:
  // `receive_buffer`: of the socket, in bytes; 0: the system's choice.
  explicit RawClient(uint16_t port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;

  // From here on all goes through TLS. False if the handshake fails.
  bool start_tls(const TlsOffer& offer = {});
  TlsClient& tls() { return *tls_; }

  // False if the server has closed.
  bool send(std::string_view bytes);
  // Past TLS.
  bool send_raw(std::string_view bytes);
  // Sends what fits without waiting; returns the count.
  size_t send_some(std::string_view bytes);
  void end_of_output();
  void close();
  // Reads until `received` holds `text`; false if the server closes or takes too long.
  bool receive_until(std::string_view text);
  // Reads until the server closes; false if it takes too long.
  bool receive_to_end();
  // Reads what comes within `wait_ms`, at most once; 0: closed, -1: nothing came.
  int receive_once(int wait_ms, size_t limit = 64 << 10);

  int fd() const { return fd_; }
  std::string received;
  size_t piece_bytes = SIZE_MAX;  // at once, by send(), and a little wait between

 private:
  int receive_tls(int wait_ms, size_t limit);

  int fd_ = -1;
  std::unique_ptr<TlsClient> tls_;
};

struct H2Answer {
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
  bool closed = false;
  uint32_t error = 0;
};

struct H2Request {
  std::string method = "POST";
  std::string path = "/";
  std::string body = {};
  bool send_length = true;
  bool end = true;  // false: leave the stream open after the body
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// An nghttp2 client session on a RawClient.
class H2Client {
 public:
  struct Settings {
    uint32_t stream_window = 65535;
    int32_t connection_window = 16 << 20;
    bool auto_window = true;  // false: never gives window back
    int receive_buffer = 0;
    bool tls = false;
  };
  H2Client(uint16_t port, const Settings& settings);
  explicit H2Client(uint16_t port) : H2Client(port, Settings()) {}
  ~H2Client();

  int32_t submit(const H2Request& request);
  void reset(int32_t id, uint32_t error = NGHTTP2_CANCEL);
  // Sends what is queued; false if the server has closed.
  bool flush();
  // Sends and receives until `condition` or the server closes; false if the latter, or it takes too long.
  bool run_until(const std::function<bool()>& condition);
  bool run_until_closed();
  // One request, to its end.
  const H2Answer& ask(const H2Request& request);

  std::map<int32_t, H2Answer> answers;
  bool goaway = false;
  uint32_t goaway_error = 0;
  int32_t goaway_last = 0;
  size_t closed = 0;  // streams
  bool disconnected = false;
  RawClient socket;
  nghttp2_session* session = nullptr;

 private:
  struct Callbacks;
  struct Body {
    std::string bytes;
    size_t sent = 0;
    bool end;
  };
  std::map<int32_t, std::unique_ptr<Body>> bodies_;
};

class TestHandler : public Handler {
 public:
  std::function<void(Request, Responder)> on_request = [](Request request, Responder responder) {
    responder.respond({200, "text/plain", request.method + " " + request.path + " " + request.body});
  };
  uint64_t limit = 1 << 20;

  void handle(const Request& request, Responder responder) override {
    on_request(request, std::move(responder));
  }
  uint64_t max_body_bytes(std::string_view, std::string_view) const override { return limit; }
};

// Keeps responders for later.
class Shelf {
 public:
  void put(Request request, Responder responder) {
    const MutexLock lock(mutex_);
    entries_.emplace_back(std::move(request), std::move(responder));
  }
  size_t size() {
    const MutexLock lock(mutex_);
    return entries_.size();
  }
  std::vector<std::pair<Request, Responder>> take() {
    const MutexLock lock(mutex_);
    return std::exchange(entries_, {});
  }

 private:
  Mutex mutex_;
  std::vector<std::pair<Request, Responder>> entries_ TM_GUARDED_BY(mutex_);
};

// Options with short ticks and one loop.
Options quick_options();

class Server {
 public:
  explicit Server(const Options& options = quick_options());
  uint16_t port() const { return listener->port(); }
  Counters counters() const { return listener->counters(); }
  // Whether a new connection is served as if nothing were.
  bool serves_others();
  // Waits until nothing is counted as waiting or held any more, and no connection is open.
  bool settles();

  TestHandler handler;
  std::unique_ptr<Listener> listener;
};

}  // namespace tidemark::http::test
