// A turn: something happened (bytes, room to write, an answer), so pump(): let the session call the Handler,
// gather what it has to send into the loop's Output, write it in one go, repeat while that brings anything,
// and wait again. A turn is bounded; what is left over is posted, so that other connections get theirs.
//
// Reading waits for readability and then reads into the loop's one buffer: an idle connection costs no
// buffer.
//
// TLS seals what is gathered in pieces and each piece is written before the next is sealed. So at most one
// sealed piece waits for the system to take it; it counts against the budget of answers. Everything that TLS
// has to say by itself (handshakes, alerts) goes out the same way, at the latest at the end of the turn.
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
  if (const TlsContext* const tls = peer_.loop.tls) {
    SslPointer ssl = tls->new_connection();
    if (!ssl) return close_hard();
    guarded([&] { tls_ = std::make_unique<TlsStream>(std::move(ssl), loop_.tls_buffers()); });
    if (!tls_) return;
  }
  on_readable();
}

bool Connection::may_read() const {
  if (tls_ && tls_->congested()) return false;
  return state_ != State::kServing || (session_->wants_read() && !peer_.must_pause());
}

void Connection::wait_readable() {
  if (read_waits_ || state_ == State::kClosed || ended_ || !may_read()) return;
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
    if (!may_read()) break;
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
    if (tls_) {
      receive_sealed(bytes);
    } else if (state_ == State::kServing) {
      session_->receive(bytes);
    } else if (state_ == State::kDetecting) {
      detect(bytes);
    }
    if (size < buffer.size()) break;
  }
  pump();
}

void Connection::detect(std::string_view bytes) {
  if (!std::exchange(spoke_, true)) since_ms_ = peer_.loop.now_ms;
  preface_.append(bytes);
  const Protocol protocol = detect_protocol(preface_);
  switch (protocol) {
    case Protocol::kUndecided:
      return;
    case Protocol::kHttp2:
      serve(make_http2_session(peer_));
      break;
    case Protocol::kHttp1:
      serve(make_http1_session(peer_));
      break;
    case Protocol::kTls:
      return refuse("This port takes plain HTTP, not TLS.");
    case Protocol::kGarbage:
      return refuse("This is neither HTTP/1.1 nor HTTP/2.");
  }
  session_->receive(preface_);
  std::string().swap(preface_);
  if (draining_) session_->drain();
}

void Connection::serve(std::unique_ptr<Session> session) {
  session_ = std::move(session);
  state_ = State::kServing;
  note_idle();
}

// In cleartext, before there is a session.
void Connection::refuse(std::string_view sentence) {
  std::string text =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ";
  text.append(std::to_string(sentence.size())).append("\r\n\r\n").append(sentence);
  peer_.count_response(400);
  // If the system does not take these few bytes from a new connection, the client goes without them.
  error_code ignored;
  socket_.write_some(asio::buffer(text), ignored);
  begin_close();
}

// What TLS has to send is left for the end of the turn, unless it is the last.
void Connection::receive_sealed(std::string_view bytes) {
  if (state_ == State::kLingering) return;
  if (!std::exchange(spoke_, true)) {
    since_ms_ = peer_.loop.now_ms;
    constexpr char kHandshakeRecord = 0x16;
    if (bytes[0] != kHandshakeRecord) return refuse("This port takes HTTPS, not plain HTTP.");
  }
  tls_->feed(bytes);
  for (;;) {
    const std::string_view plain = tls_->open();
    if (plain.empty()) break;
    if (state_ == State::kDetecting)
      serve(tls_->http2() ? make_http2_session(peer_) : make_http1_session(peer_));
    session_->receive(plain);
  }
  if (tls_->state() == TlsStream::State::kFailed) return send_sealed() ? begin_close() : close_hard();
  if (tls_->state() != TlsStream::State::kEnded) return;
  ended_ = true;
  if (state_ == State::kDetecting) return begin_close();
  session_->end_of_input();
}

void Connection::pump() {
  if (state_ != State::kServing) {
    if (tls_ && state_ == State::kDetecting) send_sealed();
    return wait_readable();
  }
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
    if (session_->finished() && all_written()) return begin_close();
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

// Writes of what is gathered what it can: over TLS in several writes, else in one. False if the system takes
// no more for now or the connection broke.
bool Connection::write(std::span<const Segment> segments, size_t& written) {
  if (tls_) return seal(segments, written);
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

// At most a turn's worth; true also if that was not all.
bool Connection::seal(std::span<const Segment> segments, size_t& sealed) {
  size_t total = 0;
  for (const Segment& segment : segments) total += segment.size;
  while (sealed < std::min<size_t>(total, kWrittenPerTurn)) {
    if (!tls_->seal(segments, sealed)) {
      close_hard();
      return false;
    }
    if (!send_sealed()) return false;
  }
  return true;
}

// Writes what TLS has made; false if some of it is left, which then waits for room, or the connection broke.
bool Connection::send_sealed() {
  const std::string_view sealed = tls_->sealed();
  if (sealed.empty()) return true;
  if (write_waits_) return false;
  error_code error;
  const size_t written = socket_.write_some(asio::buffer(sealed), error);
  peer_.loop.counters.writes.add();
  sent_bytes_ += written;
  if (error && !would_block(error)) {
    close_hard();
    return false;
  }
  tls_->sent(written);
  const size_t left = tls_->sealed().size();
  peer_.charge_response(left - sealed_charged_);
  sealed_charged_ = left;
  if (left > 0) wait_writable();
  return left == 0;
}

// Writes until there is nothing to write, the system takes no more, or a turn's worth is out.
void Connection::flush() {
  if (write_waits_ || (tls_ && !send_sealed())) return;
  Output& output = peer_.loop.output;
  const uint64_t enough = sent_bytes_ + kWrittenPerTurn;
  while (sent_bytes_ < enough) {
    size_t written = 0;
    bool more = false;
    if (!backlog_.empty()) {
      more = write(backlog_.segments(), written);
      if (state_ != State::kServing) return;
      backlog_.advance(written);
    } else {
      output.clear();
      session_->fill(output);
      if (output.empty()) break;
      more = write(output.segments(), written);
      if (state_ != State::kServing) return;
      if (written < output.total()) backlog_.take(output, written);
    }
    if (backlog_.empty()) peer_.release_pins();
    if (!more) return wait_writable();
  }
  if (backlog_.empty()) peer_.release_pins();
  if (!has_output()) note_idle();
}

bool Connection::has_output() const {
  return !all_written() || (session_ && session_->has_output());
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
  if (state_ == State::kDetecting)
    return tls_ && tls_->state() == TlsStream::State::kOpen ? begin_close() : close_hard();
  if (state_ != State::kServing) return;
  session_->drain();
  pump();
}

void Connection::begin_close() {
  if (tls_) {
    tls_->close();
    // If it has to wait, pump() comes back here.
    if (!send_sealed() && state_ != State::kDetecting) return;
  }
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
  if (!all_written()) {
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
      if (now - since_ms_ <= (spoke_ ? o.request_timeout_ms : o.first_byte_timeout_ms)) return;
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
