// The HTTP server: one port, HTTP/1.1 and HTTP/2 told apart by the first bytes, one event loop per core.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "server/http/handler.h"
#include "server/http/options.h"

namespace tidemark::http {

// Functions may be called from any thread but those that call the Handler, one at a time; counters() at any
// time.
class Listener {
 public:
  // Binds and listens, so that clients may connect from here on; they are served after start(). The handler
  // must outlive the listener. kInvalidArgument: not an address; kIo: cannot be bound, with the reason; or
  // the error of TlsContext::load.
  static Result<std::unique_ptr<Listener>> create(const Options& options, Handler& handler);

  // stop(0), if it has not been stopped.
  ~Listener();
  Listener(const Listener&) = delete;

  // Starts the loops. REQUIRES: called once at most.
  void start();

  // "127.0.0.1:4512" or "[::1]:4512", with the real port.
  const std::string& address() const;
  uint16_t port() const;

  // Accepts no more connections, tells HTTP/2 clients by GOAWAY and HTTP/1.1 clients by "Connection: close",
  // lets requests that have begun to arrive be handled and answered, and closes each connection when it has
  // nothing left. After `grace_ms` closes what is still open. Returns when every loop's thread has ended; the
  // Handler is not called any more then. True if nothing had to be cut off. Later calls do nothing and return
  // true.
  bool stop(int64_t grace_ms);

  // Reads the TLS files again, as TlsContext::reload does. REQUIRES: the options name such files.
  Status reload_tls();

  Counters counters() const;

 private:
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemark::http
