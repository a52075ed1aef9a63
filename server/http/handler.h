// What the HTTP listener calls, and what it promises to it. Knows no Deno, no engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::http {

// A request whose body has arrived whole.
struct Request {
  std::string method;            // upper case as sent
  std::string path;              // without query; always starts with '/'
  std::string query;             // without '?'
  std::string authorization;     // the header's value, empty if absent
  std::string host;              // Host or :authority
  std::string database_id;       // x-denokv-database-id, or version 1's x-transaction-domain-id
  std::string protocol_version;  // x-denokv-version
  bool secure = false;           // came over TLS
  std::string body;
};

// A body that comes piece by piece, for as long as the client listens. The listener asks for the next piece
// only when the one before has been taken, so a slow client costs no memory: what it missed the source may
// leave out.
class BodySource {
 public:
  virtual ~BodySource() = default;
  enum class Next {
    kPiece,    // `piece` holds the next one, not empty
    kNothing,  // nothing for now; Responder's waker says when to ask again, as does the time for a keep-alive
    kEnd,
  };
  // On the connection's network thread; must not block. `piece` comes empty.
  virtual Next next(std::string& piece) = 0;
  // Asked after kNothing, on the same thread: how large the piece may become that another thread is making
  // now, in bytes; 0 if none is. Until next() is called again that much counts as waiting unsent, so that
  // many large pieces are not made at once.
  virtual uint64_t bytes_in_making() const { return 0; }
};

struct Response {
  int status = 200;          // 200 to 599
  std::string content_type;  // empty: no header
  std::string body;
  // Instead of a body, or null. Let go, on any thread, when the client has gone, the source has ended or the
  // listener stops.
  std::shared_ptr<BodySource> source = nullptr;
  // Sent when nothing else was for Options::keep_alive_ms.
  std::string_view keep_alive = {};  // static
};

// The answer to one request, to be given exactly once, from any thread; copies share that once. Giving it
// after the client has gone does nothing. Dropping every copy without an answer gives 500. May outlive the
// listener.
class Responder {
 public:
  class Target {
   public:
    virtual ~Target() = default;
    virtual void respond(Response response) = 0;
    virtual void reserve(uint64_t bytes) = 0;
    virtual std::function<void()> waker() = 0;
  };
  explicit Responder(std::shared_ptr<Target> target) : target_(std::move(target)) {}
  void respond(Response response) const { target_->respond(std::move(response)); }

  // Says how large the answer's body may become, in bytes, when it will be given after handle() has returned.
  // Until then that much counts as waiting unsent, so that many large answers are not made at once; what is
  // never said counts as Options::unanswered_bytes (16 KiB). An answer given before handle() returns needs
  // none of this. Call during handle(), on its thread; elsewhere it does nothing.
  void reserve(uint64_t bytes) const { target_->reserve(bytes); }

  // For an answer with a source: to be called, from any thread, whenever the source may have a piece after it
  // said that it had none. Cheap when called again before that was looked at; may outlive everything.
  std::function<void()> waker() const { return target_->waker(); }

 private:
  std::shared_ptr<Target> target_;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // Called on a network thread (several at once, for different requests); must not block. The request lives
  // until it returns; the answer may be given before or after that. The listener bounds how many response
  // bytes wait unsent per connection and in all, by not calling this while they are exceeded. An exception
  // counts as dropping the responder.
  virtual void handle(const Request& request, Responder responder) = 0;
  // The largest body that may follow these headers, in bytes; a longer one gets 413 without being read.
  // Called on a network thread.
  virtual uint64_t max_body_bytes(std::string_view method, std::string_view path) const = 0;
};

}  // namespace tidemark::http
