// The walls inside the HTTP layer. A Session is one protocol on one connection: a machine that takes bytes,
// calls the Handler and gives bytes. It does no I/O and knows no socket; the Connection that owns it does,
// and puts TLS between the two where it is wanted (tls_stream.h). Everything here belongs to one loop and its
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/block_pool.h"
#include "server/http/budget.h"
#include "server/http/exchange.h"
#include "server/http/handler.h"
#include "server/http/options.h"
#include "server/http/output.h"
#include "server/http/request_pool.h"
#include "server/http/status_text.h"

namespace tidemark::http {

class TlsContext;

// Written by one thread, read by any.
class Counter {
 public:
  void add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// What the connections of one loop share.
struct LoopContext {
  LoopContext(const Options& options, Handler& handler, const TlsContext* tls, SharedBudget& responses,
              SharedBudget& requests)
      : options(options), handler(handler), tls(tls), responses(responses), requests(requests) {}

  const Options& options;
  Handler& handler;
  const TlsContext* const tls;  // null: cleartext
  std::shared_ptr<Mailbox> mailbox;
  LoopBudget responses;
  LoopBudget requests;
  int64_t now_ms = 0;  // the loop's own time, as of the last tick; stands still while the loop does
  char date[kDateBytes] = {};
  Output output;
  BlockPool pool;
  RequestPool spare_requests;
  struct {
    Counter connections, requests, timeouts, floods, wakeups, writes;
    std::array<Counter, 6> responses;
  } counters;
};

// One connection as its session sees it: the budgets and the way to the Handler.
class Peer {
 public:
  Peer(LoopContext& loop, uint64_t id) : loop(loop), id(id), secure(loop.tls != nullptr) {}
  Peer(const Peer&) = delete;
  ~Peer();

  LoopContext& loop;
  const uint64_t id;  // never used twice
  const bool secure;  // over TLS

  // Whether the Handler may be called now.
  bool gate_open() const {
    return responses_ + reserved_ < static_cast<int64_t>(loop.options.response_bytes_per_connection) &&
           !loop.responses.exceeded();
  }
  // Hands over a request, whose body was charged with `charged` bytes; they stay charged until it is
  // answered. The answer may come, by Session::answer, before this returns.
  void call_handler(int64_t number, const Request& request, uint64_t charged);
  // Called by the loop when an exchange of this connection comes back.
  void settle(const Exchange& exchange) {
    reserved_ -= static_cast<int64_t>(exchange.reserved());
    handled_requests_ -= static_cast<int64_t>(exchange.request_bytes());
  }
  void change_reservation(int64_t delta) { reserved_ += delta; }

  // Bytes of answers held in memory.
  void charge_response(size_t bytes) {
    responses_ += static_cast<int64_t>(bytes);
    loop.responses.add(static_cast<int64_t>(bytes));
  }
  void release_response(size_t bytes) { charge_response(-bytes); }
  int64_t response_bytes() const { return responses_; }

  // Bytes of request bodies held in memory, or promised room.
  void charge_request(size_t bytes) {
    requests_ += static_cast<int64_t>(bytes);
    loop.requests.add(static_cast<int64_t>(bytes));
  }
  void release_request(size_t bytes) { charge_request(-bytes); }
  // Whether room for another `bytes` of a body may be promised; `first`: no other body of this connection has
  // such a promise, so that this connection's own limit, too small for it, must not hold it up for ever.
  bool may_promise(size_t bytes, bool first) const {
    const int64_t limit = static_cast<int64_t>(loop.options.request_bytes_per_connection);
    return (first || requests_ + handled_requests_ + static_cast<int64_t>(bytes) <= limit) &&
           loop.requests.fits(static_cast<int64_t>(bytes));
  }
  // Whether this connection has to stop reading, because all together hold too much and it not a little.
  bool must_pause() const {
    return requests_ > static_cast<int64_t>(loop.options.stream_window_bytes) && loop.requests.exceeded();
  }

  // Keeps a body, with its charge, until what was gathered so far is written.
  void pin(std::string body) { pins_.push_back(std::move(body)); }
  void release_pins();

  void count_response(int status) { loop.counters.responses[static_cast<size_t>(status / 100)].add(); }

 private:
  int64_t responses_ = 0;
  int64_t reserved_ = 0;  // by unanswered requests; the loop's budget has them through their exchanges
  int64_t requests_ = 0;  // arriving or waiting
  int64_t handled_requests_ = 0;  // with the Handler; as reserved_
  std::vector<std::string> pins_;
};

class Session {
 public:
  virtual ~Session() = default;

  // Takes all of `bytes`. Never calls the Handler.
  virtual void receive(std::string_view bytes) = 0;
  // The client will send no more.
  virtual void end_of_input() = 0;
  // Calls the Handler for requests that are whole while the gate is open, `max_calls` times at most, and
  // stops early when much has to be sent. Also lets bodies in that waited for room. Returns the number of
  // calls.
  virtual int dispatch(int max_calls) = 0;
  // Whether a request, a body or a source waits for a budget.
  virtual bool waiting() const = 0;
  // The answer to request `number`; ignored if that is gone.
  virtual void answer(int64_t number, Response response) = 0;
  // The source of request `number` may have a piece; ignored if that is gone.
  virtual void source_ready(int64_t number) = 0;
  // Appends what can be sent now, until `output` is full. What it references stays until Peer::release_pins.
  virtual void fill(Output& output) = 0;
  // Whether the client has something to take, window or not.
  virtual bool has_output() const = 0;
  // Stop: begin nothing new, finish what has begun. Answers with a source end.
  virtual void drain() = 0;
  // Called each Options::tick_ms.
  virtual void tick() = 0;
  virtual bool wants_read() const = 0;
  // Nothing more will happen: close once everything is written.
  virtual bool finished() const = 0;
  // The protocol was broken such that nothing may be written any more.
  virtual bool failed() const { return false; }
};

std::unique_ptr<Session> make_http1_session(Peer& peer);
std::unique_ptr<Session> make_http2_session(Peer& peer);

// When this much waits in a connection it is written before the Handler is called again.
inline constexpr int64_t kWriteFirstBytes = 256 << 10;

// The layer's own answers.
Response plain_error(int status, std::string_view sentence);

}  // namespace tidemark::http
