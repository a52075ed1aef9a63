// Things start from the bottom up (engine, store, service, admin socket, listener) and end from the top down.
// The main thread does nothing but wait for a signal; then the listener stops taking requests and lets those
// it has be answered, the service waits for what the client no longer waits for, and the databases are
// closed, all within the shutdown timeout. If something hangs longer than that, the process ends without a
// clean close: every answered write is durable anyway, and the next start replays the log.
#include "tools/serve.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "engine/database.h"
#include "server/connect/service.h"
#include "server/host/host.h"
#include "server/http/listener.h"
#include "tools/admin_socket.h"
#include "tools/http_handler.h"
#include "tools/log.h"

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

// An open database takes three descriptors, and many systems start a process with 1024.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

constexpr char kTokenNeeded[] =
    "an access token is needed: give --access-token-file, DENO_KV_ACCESS_TOKEN or --access-token, or make "
    "one with 'tidemark token create'";

// Waits for SIGTERM or SIGINT and gives its number.
int wait_for_signal(boost::asio::io_context& context, boost::asio::signal_set& signals) {
  int received = 0;
  signals.async_wait([&received](const boost::system::error_code& error, int number) {
    if (!error) received = number;
  });
  context.run();
  return received;
}

}  // namespace

int serve(const ServeOptions& options) {
  const LogSink log = stderr_log();
  // A log reader that goes away must not end the server.
  std::signal(SIGPIPE, SIG_IGN);
  allow_many_descriptors();
  // Taken from the start: a signal during recovery ends the server once it is up, in order.
  boost::asio::io_context signal_context;
  boost::asio::signal_set signals(signal_context, SIGTERM, SIGINT);

  EngineOptions engine_options;
  engine_options.block_cache_bytes = options.block_cache_bytes;
  EngineComponents components;
  components.log = log;
  const std::unique_ptr<Engine> engine = Engine::create(engine_options, components);

  // A store that nobody could open is neither served nor made.
  const bool needs_stored_tokens = options.access_token.empty();
  const Result<bool> is_store = engine->file_system().exists(host::Host::catalog_dir(options.data_dir));
  if (needs_stored_tokens && is_store && !*is_store) return fail_start(kTokenNeeded);
  Result<std::unique_ptr<host::Host>> host = host::Host::open(*engine, host_options(options, log));
  if (!host) return fail_start(host.error().message);
  if (needs_stored_tokens && (*host)->tokens().empty()) return fail_start(kTokenNeeded);
  (*host)->maintain();

  connect::ServiceOptions service_options;
  service_options.public_url = options.public_url;
  service_options.log = log;
  connect::Service service(**host, service_options);
  HttpHandler handler(service);
  http::Options listener_options;
  listener_options.address = options.address;
  Result<std::unique_ptr<http::Listener>> listener = http::Listener::create(listener_options, handler);
  if (!listener) return fail_start(listener.error().message);
  const std::string url =
      options.public_url.empty() ? "http://" + (*listener)->address() : options.public_url;
  Result<std::unique_ptr<AdminServer>> admin = AdminServer::start(**host, options.data_dir, url, log);
  if (!admin) return fail_start(admin.error().message);
  (*listener)->start();
  std::fprintf(stderr, "Listening on http://%s\n", (*listener)->address().c_str());

  const int signal = wait_for_signal(signal_context, signals);
  log(LogLevel::kInfo, std::string("stopping on ") + (signal == SIGTERM ? "SIGTERM" : "SIGINT"));
  const int64_t deadline_us = engine->clock().monotonic_us() + options.shutdown_timeout_ms * 1000;
  admin->reset();
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
