// HTTP/2 on nghttp2's server session. See session.h for the rules.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "server/http/session.h"

namespace tidemark::http {

// A token bucket on the loop's time.
class RateLimit {
 public:
  RateLimit(uint64_t burst, uint64_t per_second)
      : burst_(static_cast<int64_t>(burst)), per_second_(static_cast<int64_t>(per_second)), tokens_(burst_) {}
  bool take() { return tokens_-- > 0; }
  void refill(int64_t now_ms) {
    tokens_ = std::min(burst_, std::max<int64_t>(tokens_, 0) + (now_ms - then_ms_) * per_second_ / 1000);
    then_ms_ = now_ms;
  }
  void start(int64_t now_ms) { then_ms_ = now_ms; }

 private:
  int64_t burst_;
  int64_t per_second_;
  int64_t tokens_;
  int64_t then_ms_ = 0;
};

// Throws std::runtime_error unless `code` is 0.
void require_nghttp2(int code);

class Http2Session final : public Session {
 public:
  explicit Http2Session(Peer& peer);
  ~Http2Session() override;

  void receive(std::string_view bytes) override;
  void end_of_input() override { failed_ = true; }
  int dispatch(int max_calls) override;
  bool waiting() const override { return !ready_.empty() || !want_room_.empty() || starved_; }
  void answer(int64_t number, Response response) override;
  void source_ready(int64_t number) override;
  void fill(Output& output) override;
  bool has_output() const override;
  void drain() override;
  void tick() override;
  bool wants_read() const override;
  bool finished() const override;
  bool failed() const override { return failed_; }

 private:
  struct Callbacks;  // http2_callbacks.cc
  struct Stream;
  static const nghttp2_session_callbacks* callbacks();
  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* to, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* user);
  bool next_piece(Stream& stream);

  using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  // From the request's first header to the end of the stream.
  struct Stream {
    Stream(int32_t id, std::unique_ptr<Request> request) : id(id), request(std::move(request)) {}

    const int32_t id;
    bool headers_done = false;
    bool request_done = false;  // the client has ended its side
    bool called = false;        // given to the Handler
    bool answered = false;      // an answer was submitted
    bool head = false;
    bool has_length = false;
    bool bad = false;  // a header that cannot be understood
    bool expects_continue = false;
    bool promised = false;  // holds a promise of room beyond the window
    size_t header_bytes = 0;
    uint64_t length = 0;  // content-length, if has_length
    uint64_t body_limit = 0;
    uint64_t charged = 0;     // request bytes charged to the peer
    uint32_t unreturned = 0;  // received bytes not yet given back to the connection's window
    int64_t progress_ms = 0;  // when min_progress_bytes had last come
    size_t progress_bytes = 0;
    std::unique_ptr<Request> request;  // until it was given to the Handler

    // The body at hand; of an answer with a source, its latest piece.
    Response response;
    size_t sent = 0;
    bool deferred = false;  // nghttp2 does not ask for more until it is told to
    bool starved = false;   // deferred because too much waits unsent
    bool source_ended = false;
    uint64_t in_making = 0;  // charged for a piece that the source is making
    bool keep_alive_due = false;
    int64_t piece_ms = 0;  // when the latest piece came
    std::array<char, 4> status_text;
    std::array<char, 20> length_text;
    std::array<char, kDateBytes> date;

    Hook all_hook;    // all_
    Hook queue_hook;  // receiving_, then ready_, then, with a source, streaming_
    Hook room_hook;   // want_room_
  };
  template <Hook Stream::* hook>
  using List = boost::intrusive::list<Stream, boost::intrusive::member_hook<Stream, Hook, hook>,
                                      boost::intrusive::constant_time_size<false>>;

  // In the loop's pool.
  Stream* new_stream(int32_t id);
  void delete_stream(Stream* stream);
  Stream* find(int32_t id) const;
  int on_header(Stream& stream, std::string_view name, std::string_view value);
  void on_headers_done(Stream& stream);
  void on_request_done(Stream& stream);
  void on_data(Stream& stream, const uint8_t* data, size_t size);
  void on_close(Stream& stream);
  void control_frame();
  void flood();
  void ask_for_room(Stream& stream);
  bool give_room(Stream& stream);
  void reject(Stream& stream, int status, std::string_view sentence);
  void submit(Stream& stream, Response response);
  void drop_request(Stream& stream);
  void give_back_window(Stream& stream);
  void drop_body(Stream& stream);
  void resume(Stream& stream);
  void finish_drain();

  Peer& peer_;
  nghttp2_session* session_ = nullptr;
  List<&Stream::all_hook> all_;
  List<&Stream::queue_hook> receiving_;
  List<&Stream::queue_hook> ready_;
  List<&Stream::queue_hook> streaming_;
  List<&Stream::room_hook> want_room_;
  int promises_ = 0;      // streams with a promise of room
  bool starved_ = false;  // a stream may be
  bool failed_ = false;
  bool terminated_ = false;
  enum class Drain { kNo, kAnnounced, kFinal } drain_ = Drain::kNo;
  Stream* head_stream_ = nullptr;  // whose request headers are arriving
  bool in_header_block_ = false;
  int64_t header_block_ms_ = 0;
  int64_t idle_since_ms_ = 0;
  RateLimit control_limit_;
  Output* output_ = nullptr;  // during fill()
};

}  // namespace tidemark::http
