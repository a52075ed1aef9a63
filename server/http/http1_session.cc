// One request at a time: while one is with the Handler or its answer is being sent, what has come of the next
// ones stays in in_, and the connection is not read from. So at most one read's worth of pipelined bytes
// waits.
//
// A body beyond Options::stream_window_bytes needs a promise of room before more of it is read.
//
// An answer with a source goes out in chunks, one for each piece. fill() is called when all that was written
// before has been taken by the system, so that is when the source is asked for the next piece. Meanwhile the
// connection is read from until something comes, in order to learn that the client has gone.
#include <charconv>
#include <optional>

#include "server/http/http1_parser.h"
#include "server/http/session.h"

namespace tidemark::http {
namespace {

// "0", an empty line: whatever else is to come of a body in chunks, so much is. Beast 1.81 takes for granted
// that it is not given less of the end at a time.
constexpr size_t kShortestEndOfChunks = 5;

class Http1Session final : public Session {
 public:
  explicit Http1Session(Peer& peer) : peer_(peer), since_ms_(peer.loop.now_ms) { next_request(); }

  void receive(std::string_view bytes) override {
    if (state_ != State::kReceiving) {
      if (state_ != State::kClosing && !closing_) in_.append(bytes);
    } else if (in_.empty()) {
      const size_t taken = parse(bytes);
      if (state_ != State::kClosing && !closing_) in_.assign(bytes.substr(taken));
    } else {
      in_.append(bytes);
      parse_buffered();
    }
  }

  void end_of_input() override {
    ended_ = true;
    if (state_ == State::kReceiving) state_ = State::kClosing;
    if (state_ == State::kStreaming) end_stream();
  }

  int dispatch(int max_calls) override {
    if (wants_room_ && state_ == State::kReceiving) give_room();
    if (max_calls <= 0 || state_ != State::kReady || !peer_.gate_open()) return 0;
    state_ = State::kHandling;
    const uint64_t charged = std::exchange(charged_, 0);
    head_only_ = parser_->head();
    parser_->request.secure = peer_.secure;
    const Request request = std::move(parser_->request);
    peer_.call_handler(number_, request, charged);
    return 1;
  }

  bool waiting() const override {
    return state_ == State::kReady || wants_room_ || (state_ == State::kStreaming && source_ready_);
  }

  void answer(int64_t number, Response response) override {
    if (number == number_ && state_ == State::kHandling) respond(std::move(response));
  }

  void source_ready(int64_t number) override {
    if (number == number_) source_ready_ = true;
  }

  void fill(Output& output) override {
    while (!output.full()) {
      if (!head_.empty()) {
        output.copy(head_.data(), head_.size());
        head_.clear();
      }
      if (state_ == State::kStreaming) {
        fill_chunk(output);
        if (state_ == State::kClosing) continue;
      }
      if (state_ != State::kSending) return;
      if (!response_.body.empty()) output.add(response_.body.data(), response_.body.size());
      // What was referenced must stay until it is written; the peer sees to that.
      peer_.pin(std::move(response_.body));
      response_ = {};
      if (closing_) {
        state_ = State::kClosing;
        return;
      }
      next_request();
      if (!in_.empty()) parse_buffered();
      if (ended_ && state_ == State::kReceiving) state_ = State::kClosing;
    }
  }

  bool has_output() const override { return state_ == State::kSending || !head_.empty(); }

  void drain() override {
    draining_ = true;
    if (state_ == State::kReceiving && !started_) state_ = State::kClosing;
    if (state_ == State::kStreaming) end_stream();
  }

  void tick() override {
    const Options& o = peer_.loop.options;
    const int64_t waited = peer_.loop.now_ms - since_ms_;
    if (state_ == State::kStreaming && waited >= o.keep_alive_ms) source_ready_ = keep_alive_due_ = true;
    if (state_ != State::kReceiving) return;
    if (!started_) {
      if (waited <= o.http1_idle_timeout_ms) return;
      peer_.loop.counters.timeouts.add();
      state_ = State::kClosing;
    } else if (waited > o.request_timeout_ms) {
      peer_.loop.counters.timeouts.add();
      refuse(408, "The request did not arrive in time.");
    }
  }

  bool wants_read() const override {
    return (state_ == State::kReceiving && !wants_room_) || (state_ == State::kStreaming && in_.empty());
  }
  bool finished() const override { return state_ == State::kClosing && head_.empty(); }

 private:
  enum class State {
    kReceiving,  // a request, or the wait for one
    kReady,      // a request waits for the gate
    kHandling,
    kSending,
    kStreaming,  // an answer with a source
    kClosing,
  };

  void next_request() {
    parser_.emplace(peer_.loop.handler, peer_.loop.options.max_header_bytes);
    state_ = State::kReceiving;
    ++number_;
    started_ = false;
    continued_ = false;
    head_only_ = false;
    promised_ = false;
    wants_room_ = false;
    since_ms_ = peer_.loop.now_ms;
    progress_bytes_ = 0;
  }

  // Sends the next piece, if there is one.
  void fill_chunk(Output& output) {
    std::string piece;
    if (source_ready_ && (in_making_ > 0 || peer_.gate_open())) {
      peer_.release_response(std::exchange(in_making_, 0));
      const BodySource::Next next = response_.source->next(piece);
      if (next == BodySource::Next::kEnd) return end_stream();
      source_ready_ = next == BodySource::Next::kPiece;
      if (next == BodySource::Next::kNothing) {
        in_making_ = response_.source->bytes_in_making();
        peer_.charge_response(in_making_);
      }
    }
    if (piece.empty() && std::exchange(keep_alive_due_, false)) piece = response_.keep_alive;
    if (piece.empty()) return;
    since_ms_ = peer_.loop.now_ms;
    keep_alive_due_ = false;
    if (chunked_) {
      char size[24];
      const auto end = std::to_chars(size, size + sizeof size - 2, piece.size(), 16).ptr;
      end[0] = '\r';
      end[1] = '\n';
      output.copy(size, static_cast<size_t>(end + 2 - size));
      piece.append("\r\n");
    }
    peer_.charge_response(piece.size());
    output.add(piece.data(), piece.size());
    peer_.pin(std::move(piece));
  }

  void end_stream() {
    peer_.release_response(std::exchange(in_making_, 0));
    response_ = {};
    if (chunked_) head_.append("0\r\n\r\n");
    state_ = State::kClosing;
    std::string().swap(in_);
  }

  void parse_buffered() {
    const size_t taken = parse(in_);
    if (state_ == State::kClosing || closing_) {
      std::string().swap(in_);
    } else {
      in_.erase(0, taken);
    }
  }

  // Returns how many of `bytes` it is done with.
  size_t parse(std::string_view bytes) {
    size_t taken = 0;
    if (!started_) {
      // Empty lines before a request (RFC 9112, 2.2).
      while (bytes.substr(taken).starts_with("\r\n")) taken += 2;
      if (taken == bytes.size() || bytes.substr(taken) == "\r") return taken;
      started_ = true;
      since_ms_ = peer_.loop.now_ms;
    }
    const Options& o = peer_.loop.options;
    boost::beast::error_code code;
    while (taken < bytes.size() && !parser_->is_done()) {
      if (parser_->is_header_done() && parser_->chunked() && bytes.size() - taken < kShortestEndOfChunks)
        break;
      taken += parser_->put({bytes.data() + taken, bytes.size() - taken}, code);
      if (code) break;
    }
    const Request& request = parser_->request;
    if (request.body.size() > charged_) {
      peer_.charge_request(request.body.size() - charged_);
      charged_ = request.body.size();
    }
    if (request.body.size() - progress_bytes_ >= o.min_progress_bytes) {
      progress_bytes_ = request.body.size();
      since_ms_ = peer_.loop.now_ms;
    }
    if (code && code != boost::beast::http::error::need_more) {
      refuse_parsed(code);
    } else if (parser_->is_done()) {
      state_ = State::kReady;
      wants_room_ = false;
    } else if (bytes.size() - taken > o.max_header_bytes) {
      refuse(431, "The request's headers are too large.");  // or a chunk's, or its trailers
    } else if (parser_->is_header_done()) {
      const auto length = parser_->content_length();
      if (!promised_ &&
          (length ? *length > o.stream_window_bytes : request.body.size() >= o.stream_window_bytes / 2))
        give_room();
      if (parser_->expects_continue && parser_->http11() && !continued_ && request.body.empty()) {
        continued_ = true;
        head_ = "HTTP/1.1 100 Continue\r\n\r\n";
      }
    }
    return taken;
  }

  void give_room() {
    const auto length = parser_->content_length();
    const uint64_t whole = length ? *length : parser_->body_limit_bytes();
    const uint64_t more = whole > charged_ ? whole - charged_ : 0;
    wants_room_ = !peer_.may_promise(more, true);
    if (wants_room_) return;
    promised_ = true;
    peer_.charge_request(more);
    charged_ += more;
  }

  void refuse_parsed(const boost::beast::error_code& code) {
    using boost::beast::http::error;
    switch (parser_->refusal()) {
      case 400:
        return refuse(400, "The request is malformed.");
      case 413:
        return refuse(413, "The request's body is too large.");
      case 417:
        return refuse(417, "Only \"Expect: 100-continue\" is supported.");
      case 431:
        return refuse(431, "The request's headers are too large.");
      default:
        break;
    }
    if (code == error::header_limit) return refuse(431, "The request's headers are too large.");
    if (code == error::bad_version) return refuse(505, "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are supported.");
    refuse(400, "The request is malformed.");
  }

  // The layer's own answer to a request that is not whole: nothing after it can be understood.
  void refuse(int status, std::string_view sentence) {
    closing_ = true;
    wants_room_ = false;
    std::string().swap(in_);
    respond(plain_error(status, sentence));
  }

  void respond(Response response) {
    peer_.release_request(std::exchange(charged_, 0));
    int status = response.status;
    if (status < 200 || status > 599) status = 500;
    if (!closing_ && (draining_ || !parser_->keep_alive())) closing_ = true;
    char number[24];
    const auto text = [&](uint64_t n) {
      return std::string_view(number, std::to_chars(number, number + sizeof number, n).ptr);
    };
    head_.append("HTTP/1.1 ").append(text(static_cast<uint64_t>(status)));
    head_.append(" ").append(status_text(status));
    if (!response.content_type.empty()) head_.append("\r\nContent-Type: ").append(response.content_type);
    const bool no_body = status == 204 || status == 304;
    // Whatever it was asked after it, a connection that streamed is closed in the end.
    const bool streams = response.source != nullptr && !no_body && !head_only_ && !draining_;
    chunked_ = streams && parser_->http11();
    if (response.source != nullptr) closing_ = true;
    if (chunked_) {
      head_.append("\r\nTransfer-Encoding: chunked");
    } else if (!no_body && !streams) {
      head_.append("\r\nContent-Length: ").append(text(response.body.size()));
    }
    head_.append("\r\nDate: ").append(peer_.loop.date, kDateBytes);
    if (closing_) {
      head_.append("\r\nConnection: close");
    } else if (!parser_->http11()) {
      head_.append("\r\nConnection: keep-alive");
    }
    head_.append("\r\n\r\n");
    response_ = std::move(response);
    if (no_body || head_only_) std::string().swap(response_.body);
    state_ = streams ? State::kStreaming : State::kSending;
    source_ready_ = streams;
    since_ms_ = peer_.loop.now_ms;
    peer_.charge_response(response_.body.size());
    peer_.count_response(status);
  }

  Peer& peer_;
  State state_ = State::kReceiving;
  std::optional<Http1Parser> parser_;
  std::string in_;        // come but not parsed
  int64_t number_ = 0;    // of the request within the connection
  bool started_ = false;  // something of the request has come
  bool continued_ = false;
  bool head_only_ = false;
  bool promised_ = false;    // room for all of the body
  bool wants_room_ = false;  // waits for that promise
  bool closing_ = false;     // after this answer
  bool draining_ = false;
  bool ended_ = false;
  uint64_t charged_ = 0;  // request bytes charged to the peer
  int64_t since_ms_;  // the wait for a request, the request, min_progress_bytes of its body, or since a piece
                      // was sent
  size_t progress_bytes_ = 0;
  bool chunked_ = false;         // while streaming: framed in chunks, not by the end of the connection
  bool source_ready_ = false;    // may have a piece
  uint64_t in_making_ = 0;       // charged for a piece that the source is making
  bool keep_alive_due_ = false;  // nothing was sent for long
  std::string head_;             // to be sent before response_
  Response response_;
};

}  // namespace

std::unique_ptr<Session> make_http1_session(Peer& peer) {
  return std::make_unique<Http1Session>(peer);
}

}  // namespace tidemark::http
