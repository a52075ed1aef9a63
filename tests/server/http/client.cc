#include "tests/server/http/client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace tidemark::http::test {

bool eventually(const std::function<bool()>& condition) {
  for (int waited = 0; waited < kPatienceMs; waited += 2) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

RawClient::RawClient(uint16_t port, int receive_buffer) {
  fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
  if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    ADD_FAILURE() << "cannot connect: " << std::strerror(errno);
}

RawClient::~RawClient() {
  close();
}

void RawClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool RawClient::start_tls(const TlsOffer& offer) {
  tls_ = std::make_unique<TlsClient>(offer);
  for (;;) {
    const int done = tls_->handshake();
    if (!send("") || done < 0) return false;
    if (done > 0) return true;
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, kPatienceMs) <= 0) return false;
    char buffer[64 << 10];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    tls_->feed({buffer, static_cast<size_t>(n)});
  }
}

bool RawClient::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), std::min(bytes.size(), piece_bytes), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    if (piece_bytes != SIZE_MAX) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

bool RawClient::send(std::string_view bytes) {
  if (!tls_) return send_raw(bytes);
  if (!bytes.empty()) tls_->seal(bytes);
  return send_raw(std::exchange(tls_->to_send, {})) && !tls_->failed;
}

size_t RawClient::send_some(std::string_view bytes) {
  if (tls_) {
    std::string& waiting = tls_->to_send;
    const size_t taken = waiting.empty() ? std::min<size_t>(bytes.size(), 16 << 10) : 0;
    if (taken > 0) tls_->seal(bytes.substr(0, taken));
    const ssize_t n = ::send(fd_, waiting.data(), waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) waiting.erase(0, static_cast<size_t>(n));
    return taken;
  }
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

void RawClient::end_of_output() {
  if (tls_) {
    tls_->close();
    send("");
  }
  ::shutdown(fd_, SHUT_WR);
}

int RawClient::receive_tls(int wait_ms, size_t limit) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  for (;;) {
    const std::string plain = tls_->open(limit);
    if (!tls_->to_send.empty()) send_some("");
    received += plain;
    if (!plain.empty()) return static_cast<int>(plain.size());
    if (tls_->ended || tls_->failed) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, std::max(0, static_cast<int>(left.count()))) <= 0) return -1;
    char buffer[64 << 10];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return 0;
    tls_->feed({buffer, static_cast<size_t>(n)});
  }
}

int RawClient::receive_once(int wait_ms, size_t limit) {
  if (tls_) return receive_tls(wait_ms, std::min<size_t>(limit, 64 << 10));
  pollfd p{fd_, POLLIN, 0};
  if (::poll(&p, 1, wait_ms) <= 0) return -1;
  char buffer[64 << 10];
  const ssize_t n = ::recv(fd_, buffer, std::min(limit, sizeof buffer), 0);
  if (n <= 0) return 0;
  received.append(buffer, static_cast<size_t>(n));
  return static_cast<int>(n);
}

bool RawClient::receive_until(std::string_view text) {
  while (received.find(text) == std::string::npos) {
    if (receive_once(kPatienceMs) <= 0) return false;
  }
  return true;
}

bool RawClient::receive_to_end() {
  for (;;) {
    const int n = receive_once(kPatienceMs);
    if (n <= 0) return n == 0;
  }
}

struct H2Client::Callbacks {
  static H2Client& self(void* user) { return *static_cast<H2Client*>(user); }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user) {
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    H2Answer& answer = self(user).answers[frame->hd.stream_id];
    if (key == ":status") answer.status = std::stoi(text);
    answer.headers[key] = text;
    return 0;
  }
  static int data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    self(user).answers[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self(user).goaway = true;
      self(user).goaway_error = frame->goaway.error_code;
      self(user).goaway_last = frame->goaway.last_stream_id;
    }
    return 0;
  }
  static int closed(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    H2Answer& answer = self(user).answers[id];
    answer.closed = true;
    answer.error = error;
    ++self(user).closed;
    return 0;
  }
  static ssize_t read(nghttp2_session*, int32_t, uint8_t* to, size_t size, uint32_t* flags,
                      nghttp2_data_source* source, void*) {
    Body& body = *static_cast<Body*>(source->ptr);
    const size_t piece = std::min(size, body.bytes.size() - body.sent);
    if (piece == 0 && !body.end) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(to, body.bytes.data() + body.sent, piece);
    body.sent += piece;
    if (body.sent == body.bytes.size() && body.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(piece);
  }
};

H2Client::H2Client(uint16_t port, const Settings& settings) : socket(port, settings.receive_buffer) {
  if (settings.tls && !socket.start_tls({.protocols = {"h2"}})) ADD_FAILURE() << "no TLS";
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  if (!settings.auto_window) nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, 1'000'000);
  nghttp2_option_set_max_send_header_block_length(option, 16 << 20);
  nghttp2_session_client_new2(&session, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window}};
  nghttp2_submit_settings(session, 0, entries, 1);
  nghttp2_session_set_local_window_size(session, 0, 0, settings.connection_window);
}

H2Client::~H2Client() {
  nghttp2_session_del(session);
}

int32_t H2Client::submit(const H2Request& request) {
  std::vector<std::pair<std::string, std::string>> headers = {
      {":method", request.method}, {":scheme", "http"}, {":authority", "test"}, {":path", request.path}};
  if (request.send_length && (!request.body.empty() || !request.end))
    headers.emplace_back("content-length", std::to_string(request.body.size()));
  headers.insert(headers.end(), request.headers.begin(), request.headers.end());
  std::vector<nghttp2_nv> list;
  for (auto& [name, value] : headers) {
    list.push_back({reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(value.data()),
                    name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  auto body = std::make_unique<Body>(Body{request.body, 0, request.end});
  nghttp2_data_provider provider{{.ptr = body.get()}, Callbacks::read};
  const bool none = request.body.empty() && request.end;
  const int32_t id =
      nghttp2_submit_request(session, nullptr, list.data(), list.size(), none ? nullptr : &provider, nullptr);
  EXPECT_GT(id, 0);
  bodies_[id] = std::move(body);
  return id;
}

void H2Client::reset(int32_t id, uint32_t error) {
  nghttp2_submit_rst_stream(session, 0, id, error);
}

bool H2Client::flush() {
  for (;;) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session, &data);
    if (size <= 0) return size == 0;
    std::string_view rest(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    while (!rest.empty()) {
      const size_t sent = socket.send_some(rest);
      rest.remove_prefix(sent);
      if (rest.empty()) break;
      // The server may wait for us to read before it reads on.
      pollfd p{socket.fd(), POLLIN | POLLOUT, 0};
      if (::poll(&p, 1, kPatienceMs) <= 0) return false;
      if ((p.revents & POLLIN) != 0 && socket.receive_once(0) == 0) return false;
      if ((p.revents & (POLLERR | POLLHUP)) != 0 && (p.revents & POLLIN) == 0) return false;
    }
  }
}

bool H2Client::run_until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    const bool sent = flush();
    if (socket.received.empty() && socket.receive_once(20) == 0) {
      disconnected = true;
      return condition();
    }
    const std::string bytes = std::exchange(socket.received, {});
    if (!bytes.empty() &&
        nghttp2_session_mem_recv(session, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) < 0)
      return false;
    if (!sent && bytes.empty()) {
      disconnected = true;
      return condition();
    }
  }
  return true;
}

bool H2Client::run_until_closed() {
  return run_until([&] { return disconnected; });
}

const H2Answer& H2Client::ask(const H2Request& request) {
  const int32_t id = submit(request);
  run_until([&] { return answers[id].closed; });
  return answers[id];
}

Options quick_options() {
  Options options;
  options.loops = 1;
  options.tick_ms = 10;
  options.linger_timeout_ms = 500;
  return options;
}

Server::Server(const Options& options) {
  auto created = Listener::create(options, handler);
  if (!created) {
    ADD_FAILURE() << created.error().message;
    std::abort();
  }
  listener = std::move(*created);
  listener->start();
}

bool Server::serves_others() {
  H2Client client(port());
  const bool two = client.ask({.method = "GET", .path = "/other"}).status == 200;
  RawClient raw(port());
  raw.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
  return two && raw.receive_until("HTTP/1.1 200 OK");
}

bool Server::settles() {
  return eventually([&] {
    const Counters c = counters();
    return c.connections_open == 0 && c.response_bytes_waiting == 0 && c.request_bytes_held == 0;
  });
}

}  // namespace tidemark::http::test
