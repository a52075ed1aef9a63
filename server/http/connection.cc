// A turn: something happened (bytes, room to write, an answer), so pump(): let the session call the Handler,
// gather what it has to send into the loop's Output, write it in one go, repeat while that brings anything,
// and wait again. A turn is bounded; what is left over is posted, so that other connections get theirs.
//
// Reading waits for readability and then reads into the loop's one buffer: an idle connection costs no
// buffer.
#include "server/http/connection.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "server/http/loop.h"
#include "server/http/preface.h"

namespace tidemark::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int kCallsPerTurn = 128;
constexpr uint64_t kWrittenPerTurn = 1 << 20;
constexpr int kReadsPerTurn = 4;

bool would_block(const error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

Connection::Connection(Loop& loop, asio::ip::tcp::socket socket, uint64_t id)
    : loop_(loop), peer_(loop.context(), id), socket_(std::move(socket)), since_ms_(loop.context().now_ms) {}

Connection::~Connection() = default;

void Connection::start() {
  error_code error;
  socket_.non_blocking(true, error);
  if (!error) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) return close_hard();
  on_readable();
}

void Connection::wait_readable() {
  if (read_waits_ || state_ == State::kClosed || ended_) return;
  if (state_ == State::kServing && (!session_->wants_read() || peer_.must_pause())) return;
  read_waits_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](const error_code& error) {
    self->read_waits_ = false;
    if (error || self->state_ == State::kClosed) return;
    self->guarded([&] { self->on_readable(); });
    self->loop_.end_turn();
  });
}

void Connection::wait_writable() {
  if (write_waits_ || state_ == State::kClosed) return;
  write_waits_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_write, [self = shared_from_this()](const error_code& error) {
    self->write_waits_ = false;
    if (error || self->state_ == State::kClosed) return;
    self->guarded([&] { self->pump(); });
    self->loop_.end_turn();
  });
}

void Connection::on_readable() {
  const std::span<char> buffer = loop_.read_buffer();
  for (int i = 0; i < kReadsPerTurn && !ended_ && state_ != State::kClosed; ++i) {
    if (state_ == State::kServing && (!session_->wants_read() || peer_.must_pause())) break;
    error_code error;
    const size_t size = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    if (would_block(error)) break;
    if (error == asio::error::eof) {
      ended_ = true;
      if (state_ != State::kServing) return close_hard();
      session_->end_of_input();
      break;
    }
    if (error) return close_hard();
    const std::string_view bytes(buffer.data(), size);
    if (state_ == State::kServing) {
      session_->receive(bytes);
    } else if (state_ == State::kDetecting) {
      detect(bytes);
    }
    if (size < buffer.size()) break;
  }
  pump();
}

void Connection::detect(std::string_view bytes) {
  if (preface_.empty()) since_ms_ = peer_.loop.now_ms;
  preface_.append(bytes);
  const Protocol protocol = detect_protocol(preface_);
  switch (protocol) {
    case Protocol::kUndecided:
      return;
    case Protocol::kHttp2:
      session_ = make_http2_session(peer_);
      break;
    case Protocol::kHttp1:
      session_ = make_http1_session(peer_);
      break;
    case Protocol::kTls:
    case Protocol::kGarbage: {
      constexpr std::string_view kTls = "This port takes plain HTTP, not TLS.";
      constexpr std::string_view kGarbage = "This is neither HTTP/1.1 nor HTTP/2.";
      const std::string_view text = protocol == Protocol::kTls ? kTls : kGarbage;
      preface_ =
          "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
          std::to_string(text.size()) + "\r\n\r\n";
      preface_ += text;
      peer_.count_response(400);
      // If the system does not take these few bytes from a new connection, the client goes without them.
      error_code ignored;
      socket_.write_some(asio::buffer(preface_), ignored);
      return begin_close();
    }
  }
  state_ = State::kServing;
  note_idle();
  session_->receive(preface_);
  std::string().swap(preface_);
  if (draining_) session_->drain();
}

void Connection::pump() {
  if (state_ != State::kServing) return wait_readable();
  const auto self = shared_from_this();  // closing takes it out of the table
  dirty_ = false;
  pumping_ = true;
  const uint64_t sent_before = sent_bytes_;
  int calls = 0;
  while (state_ == State::kServing && !session_->failed()) {
    const int called = session_->dispatch(kCallsPerTurn - calls);
    calls += called;
    const uint64_t sent = sent_bytes_;
    flush();
    if (calls >= kCallsPerTurn || sent_bytes_ - sent_before >= kWrittenPerTurn) {
      later();
      break;
    }
    if (called == 0 && sent_bytes_ == sent) break;
  }
  pumping_ = false;
  if (state_ == State::kServing) {
    if (session_->failed()) return close_hard();
    if (session_->finished() && backlog_.empty()) return begin_close();
    if (session_->waiting() || peer_.must_pause()) loop_.wait_for_budget(*this);
  }
  wait_readable();
}

void Connection::later() {
  if (std::exchange(later_, true)) return;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->later_ = false;
    if (self->state_ == State::kClosed) return;
    self->guarded([&] { self->pump(); });
    self->loop_.end_turn();
  });
}

// One write of what is gathered; false if the system did not take all of it or the connection broke.
bool Connection::write(std::span<const Segment> segments, size_t& written) {
  std::array<asio::const_buffer, Output::kMaxSegments> buffers;
  const size_t count = std::min(segments.size(), buffers.size());
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    buffers[i] = {segments[i].data, segments[i].size};
    total += segments[i].size;
  }
  error_code error;
  if (count == 1) {
    written = socket_.write_some(buffers[0], error);
  } else {
    // Views of a span are a buffer sequence; the unused rest of the array is not.
    const std::span<const asio::const_buffer> used(buffers.data(), count);
    written = socket_.write_some(used, error);
  }
  peer_.loop.counters.writes.add();
  sent_bytes_ += written;
  if (error && !would_block(error)) {
    close_hard();
    return false;
  }
  return written == total;
}

// Writes until there is nothing to write, the system takes no more, or a turn's worth is out.
void Connection::flush() {
  if (write_waits_) return;
  Output& output = peer_.loop.output;
  const uint64_t enough = sent_bytes_ + kWrittenPerTurn;
  while (sent_bytes_ < enough) {
    size_t written = 0;
    if (!backlog_.empty()) {
      const bool all = write(backlog_.segments(), written);
      if (state_ != State::kServing) return;
      backlog_.advance(written);
      if (!all) return wait_writable();
    } else {
      output.clear();
      session_->fill(output);
      if (output.empty()) break;
      const bool all = write(output.segments(), written);
      if (state_ != State::kServing) return;
      if (!all) {
        backlog_.take(output, written);
        return wait_writable();
      }
    }
    if (backlog_.empty()) peer_.release_pins();
  }
  if (backlog_.empty()) peer_.release_pins();
  if (!has_output()) note_idle();
}

bool Connection::has_output() const {
  return !backlog_.empty() || (session_ && session_->has_output());
}

void Connection::note_idle() {
  progress_ms_ = busy_ms_ = peer_.loop.now_ms;
  progress_bytes_ = busy_bytes_ = sent_bytes_;
}

bool Connection::too_slow() const {
  const int64_t limit = peer_.loop.options.write_timeout_ms;
  const int64_t busy = peer_.loop.now_ms - busy_ms_;
  if (state_ != State::kServing || busy <= limit || peer_.response_bytes() == 0) return false;
  return static_cast<double>(peer_.response_bytes()) * static_cast<double>(busy) >
         static_cast<double>(sent_bytes_ - busy_bytes_) * static_cast<double>(limit);
}

void Connection::drain() {
  draining_ = true;
  // A request that has reached this machine shall not be lost.
  if (read_waits_ && (state_ == State::kServing || state_ == State::kDetecting)) on_readable();
  if (state_ == State::kDetecting) return close_hard();
  if (state_ != State::kServing) return;
  session_->drain();
  pump();
}

void Connection::begin_close() {
  error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error || ended_) return close_hard();
  state_ = State::kLingering;
  since_ms_ = peer_.loop.now_ms;
  wait_readable();
}

void Connection::close_hard() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  state_ = State::kClosed;
  if (!backlog_.empty()) {
    // The client does not take what it asked for: neither shall the system keep it.
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  }
  error_code ignored;
  socket_.close(ignored);
  loop_.remove(*this);
}

void Connection::tick() {
  const Options& o = peer_.loop.options;
  const int64_t now = peer_.loop.now_ms;
  switch (state_) {
    case State::kClosed:
      return;
    case State::kLingering:
      if (now - since_ms_ > o.linger_timeout_ms) close_hard();
      return;
    case State::kDetecting:
      if (now - since_ms_ <= (preface_.empty() ? o.first_byte_timeout_ms : o.request_timeout_ms)) return;
      peer_.loop.counters.timeouts.add();
      return close_hard();
    case State::kServing:
      break;
  }
  if (!has_output()) {
    note_idle();
  } else if (sent_bytes_ - progress_bytes_ >= o.min_progress_bytes) {
    progress_ms_ = now;
    progress_bytes_ = sent_bytes_;
  } else if (now - progress_ms_ > o.write_timeout_ms) {
    peer_.loop.counters.timeouts.add();
    return close_hard();
  }
  session_->tick();
  pump();
}

}  // namespace tidemark::http
