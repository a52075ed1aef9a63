// The yardstick for the server's HTTP layer: the leanest honest HTTP/2 server on Asio and nghttp2. Every
// request gets the same small answer as soon as its END_STREAM has come. One event loop per core; no limits,
// no time-outs, no HTTP/1.1. Shares no code with server/http.
//
//   null_server [PORT [LOOPS [ANSWER_BYTES]]]     then: h2load -n 200000 -c 8 -m 32 http://127.0.0.1:PORT/
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string fixed_body(16, 'x');
std::string fixed_length;

nghttp2_nv header(const char* name, const char* value, size_t value_size) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value)), std::strlen(name), value_size,
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {}
  ~Session() { nghttp2_session_del(session_); }

  void start() {
    socket_.set_option(tcp::no_delay(true));
    socket_.non_blocking(true);
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1024},
                                               {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    read();
  }

 private:
  static ssize_t read_body(nghttp2_session*, int32_t, uint8_t* to, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void*) {
    // The stream's progress is the only state there is, and it fits the pointer.
    const size_t sent = static_cast<size_t>(source->fd);
    const size_t piece = std::min(size, fixed_body.size() - sent);
    std::memcpy(to, fixed_body.data() + sent, piece);
    source->fd += static_cast<int>(piece);
    if (sent + piece == fixed_body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(piece);
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    constexpr const char* kType = "application/x-protobuf";
    const nghttp2_nv headers[] = {header(":status", "200", 3),
                                  header("content-type", kType, std::strlen(kType)),
                                  header("content-length", fixed_length.data(), fixed_length.size())};
    nghttp2_data_provider provider{{.fd = 0}, read_body};
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, std::size(headers), &provider);
  }

  void read() {
    socket_.async_read_some(asio::buffer(in_),
                            [self = shared_from_this()](const error_code& error, size_t size) {
                              if (error) return;
                              if (nghttp2_session_mem_recv(self->session_, self->in_.data(), size) < 0)
                                return;
                              self->write();
                            });
  }

  // Everything there is in one system call, if the system takes it; reads on after that.
  void write() {
    out_.clear();
    for (;;) {
      const uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size < 0) return;
      if (size == 0) break;
      out_.insert(out_.end(), data, data + size);
      if (out_.size() > (256 << 10)) break;
    }
    if (out_.empty()) return read();
    error_code error;
    const size_t written = socket_.write_some(asio::buffer(out_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) return;
    if (written == out_.size()) {
      if (nghttp2_session_want_write(session_) != 0) return write();
      return read();
    }
    asio::async_write(socket_, asio::buffer(out_.data() + written, out_.size() - written),
                      [self = shared_from_this()](const error_code& failed, size_t) {
                        if (!failed) self->write();
                      });
  }

  tcp::socket socket_;
  nghttp2_session* session_ = nullptr;
  std::array<uint8_t, 64 << 10> in_;
  std::vector<uint8_t> out_;
};

void accept(tcp::acceptor& acceptor, std::vector<std::unique_ptr<asio::io_context>>& loops, size_t next) {
  acceptor.async_accept(*loops[next], [&acceptor, &loops, next](const error_code& error, tcp::socket socket) {
    if (!error) {
      auto session = std::make_shared<Session>(std::move(socket));
      asio::post(*loops[next], [session] { session->start(); });
    }
    accept(acceptor, loops, (next + 1) % loops.size());
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return argc > index ? std::atoi(argv[index]) : otherwise;
  };
  const auto port = static_cast<uint16_t>(argument(1, 0));
  const int count = argument(2, static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  fixed_body.assign(static_cast<size_t>(argument(3, 16)), 'x');
  fixed_length = std::to_string(fixed_body.size());

  std::vector<std::unique_ptr<asio::io_context>> loops;
  for (int i = 0; i < count; ++i) loops.push_back(std::make_unique<asio::io_context>(1));
  tcp::acceptor acceptor(*loops[0], tcp::endpoint(asio::ip::address_v4::loopback(), port));
  std::fprintf(stderr, "Listening on http://127.0.0.1:%u\n", acceptor.local_endpoint().port());
  accept(acceptor, loops, 0);
  std::vector<std::thread> threads;
  for (const auto& loop : loops) {
    threads.emplace_back([&loop] {
      const auto work = asio::make_work_guard(*loop);
      loop->run();
    });
  }
  for (std::thread& thread : threads) thread.join();
}
