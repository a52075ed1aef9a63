// Things start from the bottom up (engine, store, service, listener) and end from the top down. The main
// thread waits for signals (SIGHUP reads the TLS files again) and several times a second has the store begin
// what is due; a signal that ends the server makes an end of that, then the listener stops taking requests
// and lets those it has be answered, the service waits for what the client no longer waits for, and the
// databases are closed, all within the shutdown timeout. If something hangs longer than that, the process
// ends without a clean close: every answered write is durable anyway, and the next start replays the log.
#include "tools/serve.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>

#include "engine/database.h"
#include "server/connect/service.h"
#include "server/host/host.h"
#include "server/http/listener.h"
#include "tools/http_handler.h"
#include "tools/log.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

// One plain line. The log has its own form; this is what a person sees when a start fails.
int fail_start(const std::string& message) {
  std::fprintf(stderr, "tidemark: %s\n", message.c_str());
  return 1;
}

host::HostOptions host_options(const ServeOptions& options, const LogSink& log) {
  host::HostOptions out;
  out.data_dir = options.data_dir;
  out.access_token = options.access_token;
  out.database.retention = options.retention;
  out.database.history_max_bytes = options.history_max_bytes;
  out.log = log;
  return out;
}

// Calls `poll` regularly, as long as the context runs.
class Poller {
 public:
  Poller(boost::asio::io_context& context, std::function<void()> poll)
      : timer_(context), poll_(std::move(poll)) {
    wait();
  }

 private:
  static constexpr std::chrono::milliseconds kInterval{100};

  void wait() {
    timer_.expires_after(kInterval);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      poll_();
      wait();
    });
  }

  boost::asio::steady_timer timer_;
  std::function<void()> poll_;
};

// On each SIGHUP, for as long as the signals are waited for.
void reload_on_signal(boost::asio::signal_set& signals, http::Listener& listener, const LogSink& log) {
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    if (const Status reloaded = listener.reload_tls(); reloaded) {
      log(LogLevel::kInfo, "SIGHUP: new connections get the certificate as it is now");
    } else {
      log(LogLevel::kError, "SIGHUP: the certificate stays as it was: " + reloaded.error().message);
    }
    reload_on_signal(signals, listener, log);
  });
}

// Waits for SIGTERM or SIGINT and gives its number; polls meanwhile.
int wait_for_signal(boost::asio::io_context& context, boost::asio::signal_set& signals,
                    std::function<void()> poll) {
  const Poller poller(context, std::move(poll));
  int received = 0;
  signals.async_wait([&](const boost::system::error_code& error, int number) {
    if (!error) received = number;
    context.stop();
  });
  context.run();
  return received;
}

}  // namespace

int serve(const ServeOptions& options) {
  const LogSink log = stderr_log();
  // A log reader that goes away must not end the server.
  std::signal(SIGPIPE, SIG_IGN);
  // Taken from the start: a signal during recovery ends the server once it is up, in order.
  boost::asio::io_context signal_context;
  boost::asio::signal_set signals(signal_context, SIGTERM, SIGINT);
  boost::asio::signal_set reload_signals(signal_context);
  const bool tls = !options.tls_chain_path.empty();
  // Without TLS there is nothing to reload, and the end of its terminal ends the server.
  if (tls) reload_signals.add(SIGHUP);

  EngineOptions engine_options;
  engine_options.block_cache_bytes = options.block_cache_bytes;
  EngineComponents components;
  components.log = log;
  const std::unique_ptr<Engine> engine = Engine::create(engine_options, components);

  Result<std::unique_ptr<host::Host>> host = host::Host::open(*engine, host_options(options, log));
  if (!host) return fail_start(host.error().message);

  connect::ServiceOptions service_options;
  service_options.public_url = options.public_url;
  service_options.read_only = options.read_only;
  service_options.log = log;
  connect::Service service(**host, service_options);
  HttpHandler handler(service);
  http::Options listener_options;
  listener_options.address = options.address;
  listener_options.tls_chain_path = options.tls_chain_path;
  listener_options.tls_key_path = options.tls_key_path;
  Result<std::unique_ptr<http::Listener>> listener = http::Listener::create(listener_options, handler);
  if (!listener) return fail_start(listener.error().message);
  (*listener)->start();
  const std::string& address = (*listener)->address();
  if (!tls && !is_loopback(address)) {
    std::fprintf(
        stderr,
        "tidemark: WARNING: %s is served without TLS: whoever can listen in on the network reads the "
        "access token and all data. Use --tls-cert and --tls-key, or a proxy with TLS and --addr "
        "127.0.0.1:PORT\n",
        address.c_str());
  }
  if (tls) reload_on_signal(reload_signals, **listener, log);
  std::fprintf(stderr, "Listening on %s://%s\n", tls ? "https" : "http", address.c_str());

  const int signal = wait_for_signal(signal_context, signals, [&host, &options] {
    if (!options.read_only) (*host)->poll();
  });
  log(LogLevel::kInfo, std::string("stopping on ") + (signal == SIGTERM ? "SIGTERM" : "SIGINT"));
  const int64_t deadline_us = engine->clock().monotonic_us() + options.shutdown_timeout_ms * 1000;
  if (!(*listener)->stop(options.shutdown_timeout_ms)) {
    log(LogLevel::kWarning, "the shutdown timeout passed: open connections were cut off");
  }
  const int64_t left_us = std::max<int64_t>(deadline_us - engine->clock().monotonic_us(), 0);
  if (const int64_t unanswered = service.wait_until_idle(left_us)) {
    log(LogLevel::kError,
        std::to_string(unanswered) +
            " requests did not end within the shutdown timeout; leaving without a clean close");
    std::_Exit(1);
  }
  listener->reset();
  if (const Status closed = (*host)->close(); !closed) {
    log(LogLevel::kError, "the store did not close cleanly: " + closed.error().message);
    return 1;
  }
  log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace tidemark::tools
