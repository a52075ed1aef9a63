// One TCP connection: its socket, its TLS if it has such, its session, and the time limits that are not the
// session's. Belongs to one loop.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "server/http/output.h"
#include "server/http/session.h"
#include "server/http/tls_stream.h"

namespace tidemark::http {

class Loop;

// Reads and writes without blocking; waits with Asio only when the system has nothing to give or to take.
// Lives by shared_ptr: in the loop's table while open, and in each wait.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, boost::asio::ip::tcp::socket socket, uint64_t id);
  ~Connection();

  void start();
  // Calls the Handler for what is ready, writes what can be written, and waits for what comes next.
  void pump();
  void drain();
  void tick();
  // At once, with nothing more sent. The object leaves the loop's table.
  void close_hard();

  // Has had something to send for longer than the write timeout, and at this pace will for as long again.
  bool too_slow() const;

  Peer& peer() { return peer_; }
  Session* session() { return session_.get(); }
  // Puts it on the loop's list of connections to pump, once.
  bool mark_dirty() { return !pumping_ && !std::exchange(dirty_, true); }

 private:
  friend class Loop;
  enum class State {
    kDetecting,  // no session yet: until the protocol is known, over TLS until the first byte of a request
    kServing,
    kLingering,  // all is written and the client knows; reading on for a moment so that it gets it
    kClosed,
  };

  void wait_readable();
  void wait_writable();
  void on_readable();
  void detect(std::string_view bytes);
  void receive_sealed(std::string_view bytes);
  void serve(std::unique_ptr<Session> session);
  void refuse(std::string_view sentence);
  void flush();
  bool write(std::span<const Segment> segments, size_t& written);
  bool seal(std::span<const Segment> segments, size_t& sealed);
  bool send_sealed();
  void begin_close();
  void later();
  bool has_output() const;
  bool all_written() const { return backlog_.empty() && (!tls_ || tls_->sealed().empty()); }
  bool may_read() const;
  void note_idle();
  // An exception can only mean that memory ran out; this connection pays for it.
  template <class F>
  void guarded(F&& f) {
    try {
      f();
    } catch (...) {
      close_hard();
    }
  }

  Loop& loop_;
  Peer peer_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsStream> tls_;  // null: cleartext
  std::unique_ptr<Session> session_;
  State state_ = State::kDetecting;
  bool spoke_ = false;   // the first byte has come
  std::string preface_;  // while detecting, in cleartext
  Backlog backlog_;
  size_t sealed_charged_ = 0;  // bytes that TLS has made and the system did not take
  bool read_waits_ = false;
  bool write_waits_ = false;
  bool later_ = false;  // a continuation is posted
  bool pumping_ = false;
  bool dirty_ = false;
  bool waits_for_budget_ = false;  // is on the loop's list
  bool ended_ = false;             // the client sends no more
  bool draining_ = false;
  int64_t since_ms_;  // state_ was entered; in kDetecting the first byte moves it
  uint64_t sent_bytes_ = 0;
  uint64_t progress_bytes_ = 0;  // sent_bytes_ when progress was last seen
  int64_t progress_ms_ = 0;
  uint64_t busy_bytes_ = 0;  // sent_bytes_ when there was last nothing to send
  int64_t busy_ms_ = 0;
};

}  // namespace tidemark::http
