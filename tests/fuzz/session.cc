#include "tests/fuzz/session.h"

#include <deque>

namespace tidemark::fuzz {
namespace {

using namespace http;

constexpr size_t kMaxBodyBytes = 4096;
constexpr size_t kLargeAnswerBytes = 40'000;

// Gives pieces when it was told to, and ends after a few.
class Pieces final : public BodySource {
 public:
  Next next(std::string& piece) override {
    TM_CHECK(piece.empty());
    if (given_ == 5) return Next::kEnd;
    if (!ready) return Next::kNothing;
    ready = false;
    piece.assign(size_t{1} << (3 * given_++), 'p');
    return Next::kPiece;
  }
  uint64_t bytes_in_making() const override { return given_ == 2 ? 300 : 0; }
  bool ready = true;

 private:
  int given_ = 0;
};

// Answers as the path says; keeps what it was asked.
class TestHandler final : public Handler {
 public:
  explicit TestHandler(Seen& seen) : seen_(seen) {}

  void handle(const Request& request, Responder responder) override {
    TM_CHECK(!receiving);
    TM_CHECK(!request.method.empty() && request.path.starts_with('/') && !request.secure);
    TM_CHECK(request.body.size() <= max_body_bytes(request.method, request.path));
    seen_.heads.push_back(request.method == "HEAD");
    seen_.requests.push_back(request.method + " " + request.path + "?" + request.query + " " + request.host +
                             " " + request.authorization + " " + request.database_id + " " +
                             request.protocol_version + "\n" + request.body);
    const std::string& path = request.path;
    if (path == "/throw") throw 1;
    if (path == "/drop") return;
    if (path == "/later") {
      responder.reserve(1000);
      put_off.push_back(std::move(responder));
      return;
    }
    if (path == "/stream") {
      auto source = std::make_shared<Pieces>();
      streams.emplace_back(source, responder.waker());
      return responder.respond({200, "a/b", "", std::move(source), "alive"});
    }
    if (path == "/large") return responder.respond({200, "", std::string(kLargeAnswerBytes, 'x')});
    if (path == "/none") return responder.respond({204, "", "not to be sent"});
    if (path == "/wrong") return responder.respond({99, "", "a status that is none"});
    responder.respond({200, "text/plain", "answer to " + path});
    responder.respond({500, "", "a second answer, which counts for nothing"});
  }
  uint64_t max_body_bytes(std::string_view, std::string_view path) const override {
    return path == "/short" ? 16 : kMaxBodyBytes;
  }

  std::deque<Responder> put_off;
  std::vector<std::pair<std::weak_ptr<Pieces>, std::function<void()>>> streams;
  bool receiving = false;

 private:
  Seen& seen_;
};

// Takes answers to the one session that there is, as the loop's mailbox does.
class OneMailbox final : public Mailbox {
 public:
  explicit OneMailbox(LoopContext& loop) : loop_(&loop) {}
  ~OneMailbox() override { close(); }

  void wake() override {}
  void deliver(Exchange& exchange) override {
    if (loop_ == nullptr) return;
    loop_->responses.add(-static_cast<int64_t>(exchange.reserved()));
    loop_->requests.add(-static_cast<int64_t>(exchange.request_bytes()));
    if (peer == nullptr) return;
    peer->settle(exchange);
    session->answer(exchange.number, std::move(exchange.response()));
  }
  void reserved(const Exchange&, int64_t delta) override {
    if (loop_ == nullptr) return;
    loop_->responses.add(delta);
    if (peer != nullptr) peer->change_reservation(delta);
  }
  void source_ready(uint64_t, int64_t number) override {
    if (session != nullptr) session->source_ready(number);
  }
  void take() { drain(); }

  Peer* peer = nullptr;
  Session* session = nullptr;

 private:
  LoopContext* loop_;
};

Options options_of(bool small) {
  Options options;
  options.max_streams = 16;
  options.stream_window_bytes = small ? 256 : 65535;
  if (!small) return options;
  options.response_bytes_per_connection = 4000;
  options.response_bytes_total = 50'000;
  options.unanswered_bytes = 1000;
  options.request_bytes_per_connection = 1000;
  options.request_bytes_total = 4 * kMaxBodyBytes;
  options.max_header_bytes = 512;
  options.stream_reset_burst = 10;
  options.stream_resets_per_second = 10;
  options.control_frame_burst = 20;
  options.control_frames_per_second = 10;
  options.max_queued_frames = 20;
  options.min_progress_bytes = 64;
  return options;
}

class Connection {
 public:
  Connection(const MakeSession& make, bool small, Seen& seen)
      : options_(options_of(small)),
        seen_(seen),
        handler_(seen),
        loop_(options_, handler_, nullptr, responses_, requests_),
        mailbox_(std::make_shared<OneMailbox>(loop_)),
        peer_(std::make_unique<Peer>(loop_, 1)) {
    loop_.mailbox = mailbox_;
    format_date(1'700'000'000, loop_.date);
    Mailbox::set_current(mailbox_.get());
    session_ = make(*peer_);
    mailbox_->peer = peer_.get();
    mailbox_->session = session_.get();
  }

  void happen(const Event& event) {
    switch (event.kind) {
      case Event::kBytes:
        arriving_.push_back(event.bytes);
        break;
      case Event::kEndOfInput:
        input_ends_ = true;
        break;
      case Event::kAnswer:
        answer_one();
        break;
      case Event::kPiece:
        for (const auto& [source, waker] : handler_.streams) {
          if (const auto pieces = source.lock()) pieces->ready = true;
          waker();
        }
        mailbox_->take();
        break;
      case Event::kTick:
        loop_.now_ms += event.milliseconds;
        if (!over()) session_->tick();
        break;
      case Event::kDrain:
        if (!over()) session_->drain();
        break;
    }
    pump();
    // What has come is read as soon as the session wants it.
    while (!over() && session_->wants_read() && !peer_->must_pause()) {
      if (!arriving_.empty()) {
        const Exact bytes(arriving_.front());
        arriving_.pop_front();
        handler_.receiving = true;
        session_->receive(bytes.view());
        handler_.receiving = false;
      } else if (std::exchange(input_ends_, false)) {
        session_->end_of_input();
      } else {
        break;
      }
      pump();
    }
  }

  // Answers all, lets the client go, and lets everything else go, in the order that a server would.
  void end() {
    for (int i = 0; i < 8 || !handler_.put_off.empty(); ++i) {
      happen({Event::kAnswer});
      happen({Event::kPiece});
    }
    // Once all is answered and taken, nothing may keep the server from reading on.
    TM_CHECK(over() || arriving_.empty());
    seen_.ended_early = over();
    happen({Event::kDrain});
    happen({Event::kTick, {}, 1'000'000});
    happen({Event::kTick, {}, 1'000'000});
    seen_.failed = session_->failed();
    seen_.finished = session_->finished();
    mailbox_->peer = nullptr;
    mailbox_->session = nullptr;
    session_.reset();
    peer_.reset();
    handler_.put_off.clear();
    handler_.streams.clear();
    mailbox_->take();
    // Whatever was promised or held for it was given back.
    TM_CHECK(loop_.responses.held() == 0 && loop_.requests.held() == 0);
    Mailbox::set_current(nullptr);
  }

 private:
  bool over() const { return session_->failed() || session_->finished(); }

  bool answer_one() {
    if (handler_.put_off.empty()) return false;
    handler_.put_off.front().respond({200, "", "answered later"});
    handler_.put_off.pop_front();
    mailbox_->take();
    return true;
  }

  // Until there is nothing to do for the server, as a connection does whose client takes everything.
  void pump() {
    Output& output = loop_.output;
    for (int turns = 0; !session_->failed(); ++turns) {
      TM_CHECK(turns < 100'000);
      const int calls = session_->dispatch(2);
      TM_CHECK(calls >= 0 && calls <= 2);
      mailbox_->take();
      output.clear();
      session_->fill(output);
      for (const Segment& segment : output.segments()) seen_.output.append(segment.data, segment.size);
      const bool sent = !output.empty();
      peer_->release_pins();
      TM_CHECK(peer_->response_bytes() >= 0);
      if (calls == 0 && !sent) break;
    }
  }

  const Options options_;
  Seen& seen_;
  TestHandler handler_;
  SharedBudget responses_{options_.response_bytes_total};
  SharedBudget requests_{options_.request_bytes_total};
  LoopContext loop_;
  const std::shared_ptr<OneMailbox> mailbox_;
  std::unique_ptr<Peer> peer_;
  std::unique_ptr<Session> session_;
  std::deque<std::string> arriving_;  // pieces not yet read
  bool input_ends_ = false;           // after those
};

}  // namespace

Seen run_connection(const MakeSession& make, const std::vector<Event>& events, bool small) {
  Seen seen;
  Connection connection(make, small, seen);
  for (const Event& event : events) connection.happen(event);
  connection.end();
  return seen;
}

std::vector<Event> joined(const std::vector<Event>& events) {
  std::vector<Event> out;
  for (const Event& event : events) {
    if (event.kind == Event::kBytes && !out.empty() && out.back().kind == Event::kBytes)
      out.back().bytes += event.bytes;
    else
      out.push_back(event);
  }
  return out;
}

std::vector<Event> torn(const std::vector<Event>& events) {
  std::vector<Event> out;
  for (const Event& event : events) {
    if (event.kind != Event::kBytes) {
      out.push_back(event);
      continue;
    }
    for (const char c : event.bytes) out.push_back({Event::kBytes, std::string(1, c)});
  }
  return out;
}

Event event_of(uint8_t form, std::string bytes) {
  switch (form) {
    case 1:
      return {Event::kAnswer};
    case 2:
      return {Event::kPiece};
    case 3:
      return {Event::kTick, {}, 1'000};
    case 4:
      return {Event::kTick, {}, 40'000};
    case 5:
      return {Event::kDrain};
    case 6:
      return {Event::kEndOfInput};
    default:
      return {Event::kBytes, std::move(bytes)};
  }
}

}  // namespace tidemark::fuzz
