// nghttp2 parses and frames; this file keeps the streams, the budgets and the limits around it.
//
// Requests that are whole queue in ready_, and are given to the Handler outside nghttp2's callbacks. Answers
// find their stream by its number in nghttp2's own table. DATA frames are never built: nghttp2 gives their
// header to a callback, which puts it and a reference to the body into the output, or refuses when that is
// full.
//
// Windows. The connection's window is wide enough for every stream's initial window at once, plus all
// promises. A body that is longer than the initial window gets a window for all of it, when the budgets
// promise room for all of it, else it queues in want_room_, oldest first. So whatever was let in can
// complete, and 1000 half-sent bodies cannot lock each other out. The connection's window is given back when
// a request goes to the Handler.
#include "server/http/http2_session.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

namespace tidemark::http {
namespace {

nghttp2_nv header(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

// Frees what nghttp2 made.
template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* t) const { free(t); }
};
using OptionSet = std::unique_ptr<nghttp2_option, Free<nghttp2_option, nghttp2_option_del>>;

// nghttp2's memory from the loop's pool.
nghttp2_mem pool_memory(BlockPool& pool) {
  const auto allocate = [](size_t size, void* pool) { return static_cast<BlockPool*>(pool)->allocate(size); };
  const auto release = [](void* memory, void* pool) { static_cast<BlockPool*>(pool)->release(memory); };
  const auto zeroed = [](size_t count, size_t size, void* pool) -> void* {
    if (size != 0 && count > SIZE_MAX / size) return nullptr;
    void* const memory = static_cast<BlockPool*>(pool)->allocate(count * size);
    return memory == nullptr ? nullptr : std::memset(memory, 0, count * size);
  };
  const auto resize = [](void* memory, size_t size, void* pool) -> void* {
    if (memory != nullptr && BlockPool::capacity(memory) >= size) return memory;
    void* const larger = static_cast<BlockPool*>(pool)->allocate(size);
    if (larger != nullptr && memory != nullptr) {
      std::memcpy(larger, memory, BlockPool::capacity(memory));
      static_cast<BlockPool*>(pool)->release(memory);
    }
    return larger;
  };
  return {&pool, allocate, release, zeroed, resize};
}

}  // namespace

Http2Session::Http2Session(Peer& peer)
    : peer_(peer),
      idle_since_ms_(peer.loop.now_ms),
      control_limit_(peer.loop.options.control_frame_burst, peer.loop.options.control_frames_per_second) {
  const Options& o = peer.loop.options;
  control_limit_.start(peer.loop.now_ms);
  nghttp2_option* raw = nullptr;
  require_nghttp2(nghttp2_option_new(&raw));
  const OptionSet option(raw);
  nghttp2_option_set_no_auto_window_update(raw, 1);
  nghttp2_option_set_no_closed_streams(raw, 1);
  nghttp2_option_set_stream_reset_rate_limit(raw, o.stream_reset_burst, o.stream_resets_per_second);
  nghttp2_mem memory = pool_memory(peer.loop.pool);
  require_nghttp2(nghttp2_session_server_new3(&session_, callbacks(), this, raw, &memory));

  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o.max_header_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  // Twice what can be in use, since nghttp2 tells the client only when half of it has been given back. The
  // streams' windows and the promises are what limits.
  const uint64_t window =
      2 * (uint64_t{o.max_streams} * o.stream_window_bytes + o.request_bytes_per_connection);
  const auto capped = static_cast<int32_t>(std::min<uint64_t>(window, INT32_MAX));
  int code = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  if (code == 0) code = nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, capped);
  if (code != 0) {
    nghttp2_session_del(session_);
    require_nghttp2(code);
  }
}

Http2Session::~Http2Session() {
  nghttp2_session_del(session_);
  // The peer gives back what they were charged with.
  all_.clear_and_dispose([this](Stream* stream) { delete_stream(stream); });
}

Http2Session::Stream* Http2Session::new_stream(int32_t id) {
  void* const memory = peer_.loop.pool.allocate(sizeof(Stream));
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) Stream(id, peer_.loop.spare_requests.take());
}

void Http2Session::delete_stream(Stream* stream) {
  if (stream->request) peer_.loop.spare_requests.give_back(std::move(stream->request));
  stream->~Stream();
  peer_.loop.pool.release(stream);
}

Http2Session::Stream* Http2Session::find(int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

void Http2Session::receive(std::string_view bytes) {
  if (failed_ || terminated_) return;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken == NGHTTP2_ERR_FLOODED) {
    peer_.loop.counters.floods.add();
    failed_ = true;
  } else if (taken < 0) {
    failed_ = true;
  }
}

int Http2Session::on_header(Stream& stream, std::string_view name, std::string_view value) {
  // 32 bytes for each, as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113, 6.5.2).
  stream.header_bytes += name.size() + value.size() + 32;
  if (stream.header_bytes > peer_.loop.options.max_header_bytes) return 0;
  Request& request = *stream.request;
  const auto set_if_empty = [&](std::string& field) {
    if (field.empty()) field.assign(value);
  };
  switch (name.size()) {
    case 4:
      if (name == "host") set_if_empty(request.host);
      break;
    case 5:
      if (name == ":path") {
        const size_t mark = value.find('?');
        request.path.assign(value.substr(0, mark));
        if (mark != std::string_view::npos) request.query.assign(value.substr(mark + 1));
      }
      break;
    case 6:
      if (name == "expect") {
        if (value == "100-continue") {
          stream.expects_continue = true;
        } else {
          stream.bad = true;
        }
      }
      break;
    case 7:
      if (name == ":method") request.method.assign(value);
      break;
    case 10:
      if (name == ":authority") request.host.assign(value);
      break;
    case 13:
      if (name == "authorization") set_if_empty(request.authorization);
      break;
    case 14:
      if (name == "content-length") {
        const auto [end, error] = std::from_chars(value.begin(), value.end(), stream.length);
        stream.has_length = true;
        if (error != std::errc() || end != value.end()) stream.bad = true;
      }
      break;
    default:
      break;
  }
  if (name.starts_with("x-")) {
    if (name == "x-denokv-version") {
      set_if_empty(request.protocol_version);
    } else if (name == "x-denokv-database-id") {
      request.database_id.assign(value);
    } else if (name == "x-transaction-domain-id") {
      set_if_empty(request.database_id);
    }
  }
  return 0;
}

void Http2Session::on_headers_done(Stream& stream) {
  const Options& o = peer_.loop.options;
  stream.headers_done = true;
  stream.head = stream.request->method == "HEAD";
  receiving_.push_back(stream);
  stream.progress_ms = peer_.loop.now_ms;
  if (stream.header_bytes > o.max_header_bytes)
    return reject(stream, 431, "The request's headers are too large.");
  if (stream.bad) return reject(stream, 400, "A header of the request is malformed or not supported.");
  if (!stream.request->path.starts_with('/'))
    return reject(stream, 400, "The request's path must start with '/'.");
  if (stream.request_done) return;
  stream.body_limit = peer_.loop.handler.max_body_bytes(stream.request->method, stream.request->path);
  if (stream.has_length && stream.length > stream.body_limit)
    return reject(stream, 413, "The request's body is too large.");
  if (stream.has_length) {
    stream.request->body.reserve(std::min<uint64_t>(stream.length, o.stream_window_bytes));
    if (stream.length > o.stream_window_bytes) ask_for_room(stream);
  }
  if (stream.expects_continue) {
    const nghttp2_nv status = header(":status", "100");
    require_nghttp2(
        nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, &status, 1, nullptr));
  }
}

void Http2Session::on_request_done(Stream& stream) {
  if (stream.answered || stream.called) return;
  stream.queue_hook.unlink();
  stream.room_hook.unlink();
  ready_.push_back(stream);
}

void Http2Session::on_data(Stream& stream, const uint8_t* data, size_t size) {
  if (stream.answered || stream.called) {
    nghttp2_session_consume_connection(session_, size);
    return;
  }
  const Options& o = peer_.loop.options;
  std::string& body = stream.request->body;
  stream.unreturned += static_cast<uint32_t>(size);
  if (body.size() + size > stream.body_limit) return reject(stream, 413, "The request's body is too large.");
  body.append(reinterpret_cast<const char*>(data), size);
  if (body.size() > stream.charged) {
    peer_.charge_request(body.size() - stream.charged);
    stream.charged = body.size();
  }
  if (body.size() - stream.progress_bytes >= o.min_progress_bytes) {
    stream.progress_bytes = body.size();
    stream.progress_ms = peer_.loop.now_ms;
  }
  // Without a length: in time, so that the client does not have to stop.
  if (!stream.has_length && !stream.promised && body.size() >= o.stream_window_bytes / 2)
    ask_for_room(stream);
}

void Http2Session::ask_for_room(Stream& stream) {
  if (stream.room_hook.is_linked()) return;
  if (!want_room_.empty() || !give_room(stream)) want_room_.push_back(stream);
}

// Promises room for all of the stream's body and opens its window for it.
bool Http2Session::give_room(Stream& stream) {
  const uint64_t whole = stream.has_length ? stream.length : stream.body_limit;
  if (whole > stream.charged) {
    const uint64_t more = whole - stream.charged;
    if (!peer_.may_promise(more, promises_ == 0)) return false;
    peer_.charge_request(more);
    stream.charged = whole;
  }
  stream.promised = true;
  ++promises_;
  // By the difference: what nghttp2 takes for the stream's window depends on whether the client has
  // acknowledged our settings yet.
  const uint64_t initial = peer_.loop.options.stream_window_bytes;
  if (whole > initial) {
    const uint64_t wider = std::min<uint64_t>(whole - initial, INT32_MAX - 65535);
    nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream.id, static_cast<int32_t>(wider));
  }
  return true;
}

void Http2Session::give_back_window(Stream& stream) {
  if (stream.unreturned == 0) return;
  nghttp2_session_consume_connection(session_, stream.unreturned);
  stream.unreturned = 0;
}

// Forgets a request that will not reach the Handler.
void Http2Session::drop_request(Stream& stream) {
  give_back_window(stream);
  if (stream.request) std::string().swap(stream.request->body);
  peer_.release_request(stream.charged);
  stream.charged = 0;
  if (stream.promised) {
    stream.promised = false;
    --promises_;
  }
  stream.queue_hook.unlink();
  stream.room_hook.unlink();
}

void Http2Session::reject(Stream& stream, int status, std::string_view sentence) {
  drop_request(stream);
  submit(stream, plain_error(status, sentence));
}

// Forgets the body at hand, sent or not, and the room kept for the next one.
void Http2Session::drop_body(Stream& stream) {
  std::string& body = stream.response.body;
  if (stream.sent > 0 && body.size() > Output::kCopyMax) {
    peer_.pin(std::move(body));  // parts of it may be on their way
  } else {
    peer_.release_response(body.size());
  }
  body.clear();
  stream.sent = 0;
  peer_.release_response(std::exchange(stream.in_making, 0));
}

void Http2Session::on_close(Stream& stream) {
  drop_request(stream);
  drop_body(stream);
  if (head_stream_ == &stream) head_stream_ = nullptr;
  delete_stream(&stream);
  if (all_.empty()) idle_since_ms_ = peer_.loop.now_ms;
}

void Http2Session::control_frame() {
  if (!control_limit_.take()) flood();
}

void Http2Session::flood() {
  if (terminated_) return;
  terminated_ = true;
  peer_.loop.counters.floods.add();
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

int Http2Session::dispatch(int max_calls) {
  if (starved_ && peer_.gate_open()) {
    starved_ = false;
    for (Stream& stream : streaming_)
      if (stream.starved) resume(stream);
  }
  while (!want_room_.empty() && give_room(want_room_.front())) want_room_.pop_front();
  int calls = 0;
  while (calls < max_calls && !ready_.empty() && peer_.gate_open()) {
    Stream& stream = ready_.front();
    ready_.pop_front();
    stream.called = true;
    give_back_window(stream);
    if (stream.promised) {
      stream.promised = false;
      --promises_;
    }
    const uint64_t charged = std::exchange(stream.charged, 0);
    ++calls;
    std::unique_ptr<Request> request = std::move(stream.request);
    request->secure = peer_.secure;
    peer_.call_handler(stream.id, *request, charged);
    peer_.loop.spare_requests.give_back(std::move(request));
    if (peer_.response_bytes() >= kWriteFirstBytes) break;
  }
  return calls;
}

void Http2Session::answer(int64_t number, Response response) {
  Stream* const stream = find(static_cast<int32_t>(number));
  if (stream != nullptr && !stream->answered) submit(*stream, std::move(response));
}

void Http2Session::submit(Stream& stream, Response response) {
  stream.answered = true;
  stream.response = std::move(response);
  if (stream.response.status < 200 || stream.response.status > 599) stream.response.status = 500;
  std::string& body = stream.response.body;
  const auto put = [](auto& text, uint64_t number) {
    return std::string_view(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
  };
  stream.date = std::to_array(peer_.loop.date);
  nghttp2_nv headers[4];
  size_t count = 0;
  headers[count++] =
      header(":status", put(stream.status_text, static_cast<uint64_t>(stream.response.status)));
  if (!stream.response.content_type.empty())
    headers[count++] = header("content-type", stream.response.content_type);
  const bool may_have_body = stream.response.status != 204 && stream.response.status != 304;
  const bool streams = stream.response.source != nullptr && may_have_body && !stream.head;
  if (may_have_body && stream.response.source == nullptr)
    headers[count++] = header("content-length", put(stream.length_text, body.size()));
  headers[count++] = header("date", {stream.date.data(), stream.date.size()});
  if (stream.head || !may_have_body || streams) body.clear();
  peer_.charge_response(body.size());
  peer_.count_response(stream.response.status);
  if (streams) {
    stream.piece_ms = peer_.loop.now_ms;
    stream.source_ended = drain_ != Drain::kNo;
    streaming_.push_back(stream);
  } else {
    stream.response.source.reset();
  }
  nghttp2_data_provider provider{{.ptr = &stream}, read_body};
  if (nghttp2_submit_response(session_, stream.id, headers, count,
                              body.empty() && !streams ? nullptr : &provider) != 0)
    failed_ = true;
}

// Called when all of the piece before was sent and the client can take more. False: there is nothing to send
// now.
bool Http2Session::next_piece(Stream& stream) {
  const bool has_room = stream.in_making > 0;
  drop_body(stream);
  if (stream.source_ended) return true;
  std::string& piece = stream.response.body;
  BodySource::Next next = BodySource::Next::kNothing;
  if (has_room || peer_.gate_open()) {
    next = stream.response.source->next(piece);
    if (next == BodySource::Next::kNothing) {
      stream.in_making = stream.response.source->bytes_in_making();
      peer_.charge_response(stream.in_making);
    }
  } else {
    stream.starved = starved_ = true;
  }
  if (next == BodySource::Next::kEnd) stream.source_ended = true;
  if (next == BodySource::Next::kNothing) {
    piece = stream.keep_alive_due ? stream.response.keep_alive : std::string_view();
    if (piece.empty()) return false;
  }
  stream.keep_alive_due = false;
  stream.piece_ms = peer_.loop.now_ms;
  peer_.charge_response(piece.size());
  return true;
}

void Http2Session::resume(Stream& stream) {
  stream.starved = false;
  if (std::exchange(stream.deferred, false) && nghttp2_session_resume_data(session_, stream.id) != 0)
    failed_ = true;
}

void Http2Session::source_ready(int64_t number) {
  Stream* const stream = find(static_cast<int32_t>(number));
  if (stream != nullptr && stream->response.source != nullptr) resume(*stream);
}

void Http2Session::fill(Output& output) {
  output_ = &output;
  while (!output.full()) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) failed_ = true;
    if (size <= 0) break;
    output.copy(data, static_cast<size_t>(size));
  }
  output_ = nullptr;
}

bool Http2Session::has_output() const {
  return peer_.response_bytes() > 0 || nghttp2_session_want_write(session_) != 0;
}

void Http2Session::drain() {
  if (drain_ != Drain::kNo) return;
  drain_ = Drain::kAnnounced;
  // Two steps (RFC 9113, 6.8): requests already on their way are still taken, until the client has answered
  // the ping.
  for (Stream& stream : streaming_) {
    stream.source_ended = true;
    resume(stream);
  }
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void Http2Session::finish_drain() {
  drain_ = Drain::kFinal;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Session::tick() {
  const Options& o = peer_.loop.options;
  const int64_t now = peer_.loop.now_ms;
  control_limit_.refill(now);
  if (terminated_ || failed_) return;
  if (drain_ == Drain::kAnnounced) finish_drain();
  if (in_header_block_ && now - header_block_ms_ > o.request_timeout_ms) {
    terminated_ = true;
    peer_.loop.counters.timeouts.add();
    nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  for (auto it = receiving_.begin(); it != receiving_.end();) {
    Stream& stream = *it++;
    if (now - stream.progress_ms <= o.request_timeout_ms) continue;
    peer_.loop.counters.timeouts.add();
    reject(stream, 408, "The request's body did not arrive in time.");
  }
  for (Stream& stream : streaming_) {
    if (!stream.deferred || now - stream.piece_ms < o.keep_alive_ms) continue;
    stream.keep_alive_due = true;
    resume(stream);
  }
  if (all_.empty() && now - idle_since_ms_ > o.http2_idle_timeout_ms) {
    terminated_ = true;
    peer_.loop.counters.timeouts.add();
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
  }
}

bool Http2Session::wants_read() const {
  // A client that does not read what it makes us say is not listened to.
  return nghttp2_session_get_outbound_queue_size(session_) < peer_.loop.options.max_queued_frames;
}

bool Http2Session::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

std::unique_ptr<Session> make_http2_session(Peer& peer) {
  return std::make_unique<Http2Session>(peer);
}

}  // namespace tidemark::http
