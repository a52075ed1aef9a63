// What nghttp2 calls. Nothing is sent from here, and no exception leaves: it ends the connection.
#include <algorithm>
#include <stdexcept>

#include "server/http/http2_session.h"

namespace tidemark::http {
namespace {

std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

struct DeleteCallbacks {
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};

}  // namespace

void require_nghttp2(int code) {
  if (code != 0) throw std::runtime_error(nghttp2_strerror(code));
}

// Each turns exceptions into the end of the connection: none may cross nghttp2's frames.
struct Http2Session::Callbacks {
  template <class F>
  static int guard(void* user, F&& f) noexcept {
    try {
      return f(*static_cast<Http2Session*>(user));
    } catch (...) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  // Also called for frames that nghttp2 then ignores.
  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    const bool empty = head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0;
    switch (head->type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_RST_STREAM:  // has a limit of its own
      case NGHTTP2_GOAWAY:
      case NGHTTP2_CONTINUATION:
      case NGHTTP2_WINDOW_UPDATE:
        return 0;
      case NGHTTP2_DATA:
        if (!empty) return 0;
        break;
      default:
        break;  // PING, SETTINGS, PRIORITY
    }
    return guard(user, [](Http2Session& self) {
      self.control_frame();
      return 0;
    });
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    return guard(user, [&](Http2Session& self) {
      self.in_header_block_ = true;
      self.header_block_ms_ = self.peer_.loop.now_ms;
      if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
      Stream* const stream = self.new_stream(frame->hd.stream_id);
      self.all_.push_back(*stream);
      self.head_stream_ = stream;
      // It can only fail for a stream that does not exist.
      return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    });
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return guard(user, [&](Http2Session& self) {
      Stream* const stream = self.head_stream_;
      if (stream == nullptr || stream->id != frame->hd.stream_id) return 0;
      return self.on_header(*stream, view(name, name_size), view(value, value_size));
    });
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guard(user, [&](Http2Session& self) {
      switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
        case NGHTTP2_DATA: {
          if (frame->hd.type == NGHTTP2_HEADERS) self.in_header_block_ = false;
          const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
          Stream* const stream = self.find(frame->hd.stream_id);
          if (stream == nullptr) break;
          if (end) stream->request_done = true;
          if (!stream->headers_done) self.on_headers_done(*stream);
          if (end) self.on_request_done(*stream);
          break;
        }
        case NGHTTP2_PING:
          if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && self.drain_ == Drain::kAnnounced)
            self.finish_drain();
          break;
        default:
          break;
      }
      return 0;
    });
  }

  static int data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size,
                  void* user) {
    return guard(user, [&](Http2Session& self) {
      if (Stream* const stream = self.find(id)) {
        self.on_data(*stream, data, size);
      } else {
        nghttp2_session_consume_connection(session, size);
      }
      return 0;
    });
  }

  static int stream_closed(nghttp2_session*, int32_t id, uint32_t, void* user) {
    return guard(user, [&](Http2Session& self) {
      if (Stream* const stream = self.find(id)) self.on_close(*stream);
      return 0;
    });
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    return guard(user, [&](Http2Session& self) {
      if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
        // The client made us do this, which costs it a stream and us a little: "rapid reset" from the other
        // side.
        self.control_frame();
      } else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR) {
        // What nghttp2 says when the client resets streams faster than the limit.
        self.peer_.loop.counters.floods.add();
      } else if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                 (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        // Answered before the request was whole: tell the client to keep the rest (RFC 9113, 8.1).
        const Stream* const stream = self.find(frame->hd.stream_id);
        if (stream != nullptr && !stream->request_done)
          return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
      }
      return 0;
    });
  }

  static ssize_t read_body(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const bool streams = stream.response.source != nullptr;
    if (streams && stream.sent == stream.response.body.size()) {
      const int result = guard(user, [&](Http2Session& self) {
        stream.deferred = !self.next_piece(stream);
        return stream.deferred ? NGHTTP2_ERR_DEFERRED : 0;
      });
      if (result != 0) return result;
    }
    const size_t rest = stream.response.body.size() - stream.sent;
    const size_t size = std::min(rest, length);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size == rest && (!streams || stream.source_ended)) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  // This side never pads.
  static int send_body(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t length,
                       nghttp2_data_source* source, void* user) {
    Http2Session& self = *static_cast<Http2Session*>(user);
    if (self.output_->full()) return NGHTTP2_ERR_WOULDBLOCK;
    Stream& stream = *static_cast<Stream*>(source->ptr);
    self.output_->copy(frame_header, 9);
    self.output_->add(stream.response.body.data() + stream.sent, length);
    stream.sent += length;
    return 0;
  }

  static const nghttp2_session_callbacks* all() {
    static const std::unique_ptr<nghttp2_session_callbacks, DeleteCallbacks> set = [] {
      nghttp2_session_callbacks* raw = nullptr;
      require_nghttp2(nghttp2_session_callbacks_new(&raw));
      nghttp2_session_callbacks_set_on_begin_frame_callback(raw, begin_frame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(raw, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(raw, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(raw, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, data);
      nghttp2_session_callbacks_set_on_stream_close_callback(raw, stream_closed);
      nghttp2_session_callbacks_set_on_frame_send_callback(raw, frame_sent);
      nghttp2_session_callbacks_set_send_data_callback(raw, send_body);
      return std::unique_ptr<nghttp2_session_callbacks, DeleteCallbacks>(raw);
    }();
    return set.get();
  }
};

const nghttp2_session_callbacks* Http2Session::callbacks() {
  return Callbacks::all();
}

ssize_t Http2Session::read_body(nghttp2_session* session, int32_t id, uint8_t* to, size_t length,
                                uint32_t* flags, nghttp2_data_source* source, void* user) {
  return Callbacks::read_body(session, id, to, length, flags, source, user);
}

}  // namespace tidemark::http
