// Settings and counters of the HTTP listener.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace tidemark::http {

// Sizes in bytes, times in milliseconds. Times are kept by a tick (tick_ms) and may be that much late.
struct Options {
  std::string address = "127.0.0.1:0";  // HOST:PORT or [V6]:PORT; port 0 picks a free one
  // PEM files; both, or neither for cleartext. See TlsContext::load.
  std::string tls_chain_path;
  std::string tls_key_path;
  int loops = 0;                     // event loops, one thread each; 0: one per core
  uint32_t max_connections = 10000;  // in all; beyond it new ones are closed at once

  // Answers that wait unsent, whole bodies, with what unanswered requests have reserved. While a limit is
  // reached the Handler is not called; requests wait. So a connection exceeds its limit by at most one
  // answer, the whole server by at most one answer per loop.
  uint64_t response_bytes_per_connection = uint64_t{16} << 20;
  uint64_t response_bytes_total = uint64_t{512} << 20;
  uint64_t unanswered_bytes = uint64_t{16}
                              << 10;  // counted for a request until it is answered, unless it reserved

  // Request bodies that are arriving, waiting, or with the Handler and unanswered. A body up to
  // stream_window_bytes is always taken; a longer one is let in only when it fits as a whole, so that bodies
  // never wait for each other's ends. While the total is exceeded, connections that hold more than
  // stream_window_bytes are not read from.
  uint64_t request_bytes_per_connection = uint64_t{16} << 20;
  uint64_t request_bytes_total = uint64_t{256} << 20;

  uint32_t max_header_bytes = 64 << 10;  // of one request; more gets 431

  // HTTP/2. A connection may send max_streams * stream_window_bytes + request_bytes_per_connection of bodies
  // that are not whole.
  uint32_t max_streams = 1024;
  uint32_t stream_window_bytes = 64 << 10;
  // Token buckets; an empty one ends the connection. Clients that end many watches at once reset many
  // streams.
  uint64_t stream_reset_burst = 20000;
  uint64_t stream_resets_per_second = 2000;
  // PING, SETTINGS, PRIORITY, DATA of no bytes, and streams that this side had to reset.
  uint32_t control_frame_burst = 4000;
  uint32_t control_frames_per_second = 1000;
  // Frames waiting to be sent, answers' bodies apart; beyond it a client that does not read is not read from
  // either.
  uint32_t max_queued_frames = 4000;

  int64_t first_byte_timeout_ms = 30'000;   // a new connection that says nothing
  int64_t request_timeout_ms = 30'000;      // a header block must be whole by then; a body must bring
                                            // min_progress_bytes (or its end) within each such time
  int64_t http1_idle_timeout_ms = 300'000;  // keep-alive between requests
  int64_t http2_idle_timeout_ms = 600'000;  // no stream open
  int64_t write_timeout_ms = 60'000;        // bytes are waiting and fewer than min_progress_bytes went out
  int64_t linger_timeout_ms = 2'000;  // reading on after the last byte was sent, so that the client gets it
  int64_t keep_alive_ms = 5'000;      // an answer that goes on says at least this often that it is alive
  uint32_t min_progress_bytes = 16 << 10;
  int64_t tick_ms = 1'000;
};

// Sums over all loops at about the same moment.
struct Counters {
  uint64_t connections_open = 0;
  uint64_t connections_total = 0;    // accepted and served, since the start
  uint64_t connections_refused = 0;  // closed at once: too many
  uint64_t accept_errors = 0;
  uint64_t requests = 0;                // given to the Handler
  std::array<uint64_t, 6> responses{};  // by class: [2] is 2xx; the layer's own answers included
  uint64_t timeouts = 0;                // connections and streams ended for being slow
  uint64_t floods = 0;                  // HTTP/2 connections ended for floods
  uint64_t response_bytes_waiting = 0;  // counted against response_bytes_total
  uint64_t request_bytes_held = 0;      // counted against request_bytes_total
  uint64_t wakeups = 0;                 // of a loop by answers from other threads
  uint64_t writes = 0;                  // system calls that wrote to a client
};

}  // namespace tidemark::http
