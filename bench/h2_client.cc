#include "bench/h2_client.h"

#include <cstring>

#include "bench/machine.h"

namespace tidemark::bench {

namespace asio = boost::asio;

namespace {

constexpr size_t kOutputBytes = 64 * 1024;
constexpr int32_t kWindowBytes = 16 << 20;

void check(ssize_t code, const char* what) {
  if (code < 0) {
    die(std::string("http/2: ") + what + ": " + nghttp2_strerror(static_cast<int>(code)));
  }
}

nghttp2_nv header(const std::string& name, const std::string& value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

H2Client::H2Client(const std::string& host, const std::string& port) : authority_(host + ":" + port) {
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(context_);
  const auto addresses = resolver.resolve(host, port, error);
  if (!error) {
    asio::connect(socket_, addresses, error);
  }
  if (error) {
    die("cannot connect to " + authority_ + ": " + error.message());
  }
  socket_.set_option(asio::ip::tcp::no_delay(true));

  nghttp2_session_callbacks* callbacks = nullptr;
  check(nghttp2_session_callbacks_new(&callbacks), "callbacks");
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  check(nghttp2_session_client_new(&session_, callbacks, this), "session");
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes}};
  check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings)), "settings");
  check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindowBytes), "window");
}

H2Client::~H2Client() {
  nghttp2_session_del(session_);
}

void H2Client::post(const std::string& path, const Headers& headers, std::string body, Done done) {
  request("POST", path, headers, std::move(body), std::move(done));
}

H2Answer H2Client::get_and_wait(const std::string& path, const Headers& headers) {
  H2Answer result;
  request("GET", path, headers, {}, [&](H2Answer answer) { result = std::move(answer); });
  run();
  return result;
}

void H2Client::request(const std::string& method, const std::string& path, const Headers& headers,
                       std::string body, Done done) {
  static const std::string kMethod = ":method", kScheme = ":scheme", kHttp = "http",
                           kAuthority = ":authority", kPath = ":path", kLength = "content-length";
  const std::string length = std::to_string(body.size());
  std::vector<nghttp2_nv> fields = {header(kMethod, method), header(kScheme, kHttp),
                                    header(kAuthority, authority_), header(kPath, path),
                                    header(kLength, length)};
  for (const auto& [name, value] : headers) {
    fields.push_back(header(name, value));
  }
  nghttp2_data_provider provider;
  provider.source.ptr = this;
  provider.read_callback = read_body;
  const int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                            body.empty() ? nullptr : &provider, nullptr);
  check(id, "request");
  streams_.emplace(id, Stream{std::move(body), 0, {}, std::move(done)});
}

H2Answer H2Client::post_and_wait(const std::string& path, const Headers& headers, std::string body) {
  H2Answer result;
  post(path, headers, std::move(body), [&](H2Answer answer) { result = std::move(answer); });
  run();
  return result;
}

void H2Client::run() {
  write_some();
  if (!reading_) {
    read_some();
  }
  while (!streams_.empty()) {
    context_.restart();
    context_.run_one();
  }
}

void H2Client::read_some() {
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_), [this](const boost::system::error_code& error, size_t size) {
    if (error) {
      die("http/2: the server closed the connection: " + error.message());
    }
    check(nghttp2_session_mem_recv(session_, input_.data(), size), "input");
    // `done` may queue requests, whose frames go out together.
    while (!finished_.empty()) {
      auto finished = std::move(finished_);
      finished_.clear();
      for (auto& [done, answer] : finished) {
        done(std::move(answer));
      }
    }
    write_some();
    read_some();
  });
}

void H2Client::write_some() {
  if (writing_) {
    return;
  }
  output_.clear();
  while (output_.size() < kOutputBytes) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    check(size, "output");
    if (size == 0) {
      break;
    }
    output_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
  if (output_.empty()) {
    return;
  }
  writing_ = true;
  asio::async_write(socket_, asio::buffer(output_), [this](const boost::system::error_code& error, size_t) {
    if (error) {
      die("http/2: cannot write: " + error.message());
    }
    writing_ = false;
    write_some();
  });
}

ssize_t H2Client::read_body(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                            nghttp2_data_source* source, void*) {
  Stream& stream = static_cast<H2Client*>(source->ptr)->streams_.at(id);
  const size_t count = std::min(size, stream.body.size() - stream.sent);
  std::memcpy(buffer, stream.body.data() + stream.sent, count);
  stream.sent += count;
  if (stream.sent == stream.body.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  }
  return static_cast<ssize_t>(count);
}

int H2Client::on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                        const uint8_t* value, size_t value_size, uint8_t, void* user) {
  auto* self = static_cast<H2Client*>(user);
  const auto stream = self->streams_.find(frame->hd.stream_id);
  if (stream != self->streams_.end() &&
      std::string_view(reinterpret_cast<const char*>(name), name_size) == ":status") {
    stream->second.answer.status =
        std::atoi(std::string(reinterpret_cast<const char*>(value), value_size).c_str());
  }
  return 0;
}

int H2Client::on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size, void* user) {
  auto* self = static_cast<H2Client*>(user);
  const auto stream = self->streams_.find(id);
  if (stream != self->streams_.end()) {
    stream->second.answer.body.append(reinterpret_cast<const char*>(bytes), size);
  }
  return 0;
}

int H2Client::on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
  auto* self = static_cast<H2Client*>(user);
  if (error != NGHTTP2_NO_ERROR) {
    die(std::string("http/2: the server reset a stream: ") + nghttp2_http2_strerror(error));
  }
  const auto stream = self->streams_.find(id);
  if (stream != self->streams_.end()) {
    self->finished_.emplace_back(std::move(stream->second.done), std::move(stream->second.answer));
    self->streams_.erase(stream);
  }
  return 0;
}

}  // namespace tidemark::bench
