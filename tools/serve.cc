// Things start from the bottom up (engine, store, service, admin socket, listener) and end from the top down.
// The main thread waits for signals (SIGHUP reads the TLS files again) and several times a second has the
// store begin what is due; a signal that ends the server makes an end of that, then the listener stops taking
// requests and lets those it has be answered (backups go on meanwhile, for commits that wait for them),
// commands under way end, the service waits for what the client no longer waits for, and the databases are
// closed, all within the shutdown timeout, unless a command takes longer. If a request does, the process ends
// without a clean close: every answered write is durable anyway, and the next start replays the log.
#include "tools/serve.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "engine/database.h"
#include "server/connect/service.h"
#include "server/host/host.h"
#include "server/http/listener.h"
#include "tools/admin_commands.h"
#include "tools/admin_socket.h"
#include "tools/backup_driver.h"
#include "tools/backup_location.h"
#include "tools/health.h"
#include "tools/http_handler.h"
#include "tools/log.h"
#include "tools/metrics.h"
#include "tools/operator_pages.h"
#include "tools/parse.h"
#include "tools/replica.h"
#include "tools/request_metrics.h"

namespace tidemark::tools {
namespace {

// What a write takes in the log beyond its keys and values, generously: tags, lengths, prefixes, expiry.
constexpr uint64_t kWriteFramingBytes = 64;
constexpr uint32_t kMetricsConnections = 100;
// Those who watch a server end with it; nobody waits for them.
constexpr int64_t kOperatorGraceMs = 100;
// Commits that wait for a backup are answered without it so long before the shutdown timeout, or for this
// share of it, so that the answer is not cut off.
constexpr int64_t kBackupGraceUs = 1'000'000;
constexpr int64_t kBackupGraceShare = 4;

host::HostOptions host_options(const ServeOptions& options, const LogSink& log) {
  host::HostOptions out;
  out.serves = true;
  out.read_only = options.read_only;
  out.data_dir = options.data_dir;
  out.access_token = options.access_token;
  out.database.retention = options.retention;
  out.database.history_max_bytes = options.history_max_bytes;
  out.max_disk_bytes = options.max_disk_bytes;
  out.database.gated = options.gated;
  out.signing_key = options.signing_key;
  out.max_open_databases = options.max_open_databases;
  // What a primary has committed at once is repeated at once.
  if (options.sync_target) out.database.max_transaction_bytes = backup::kMaxObjectBytes;
  out.database.max_transaction_bytes =
      std::max(out.database.max_transaction_bytes,
               options.limits.max_transaction_bytes + options.limits.max_mutations * kWriteFramingBytes);
  out.limits = options.limits;
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

// The port for operators; null if there is none. A default address that is taken is no reason not to serve.
Result<std::unique_ptr<http::Listener>> listen_for_operators(const ServeOptions& options,
                                                             OperatorHandler& handler, const LogSink& log) {
  if (options.metrics_address.empty()) return nullptr;
  http::Options listener_options;
  listener_options.address = options.metrics_address;
  listener_options.loops = 1;
  listener_options.max_connections = kMetricsConnections;
  auto listener = http::Listener::create(listener_options, handler);
  if (listener) return listener;
  if (!options.metrics_address_is_default) return fail_within("--metrics-addr", listener.error());
  log(LogLevel::kWarning, "no metrics without a token: " + listener.error().message +
                              " (--metrics-addr names another address, or 'off')");
  return nullptr;
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

// While the server stops: commits that wait for their backup go on into it, until `give_up_us` (monotonic);
// then they are answered without.
class BackupsMeanwhile {
 public:
  BackupsMeanwhile(host::Host& host, BackupDriver& backups, int64_t give_up_us)
      : poller_(context_,
                [&host, &backups, give_up_us] {
                  backups.poll();
                  if (host.engine().clock().monotonic_us() >= give_up_us) host.end_gates();
                }),
        thread_([this] { context_.run(); }) {}
  ~BackupsMeanwhile() {
    context_.stop();
    thread_.join();
  }
  BackupsMeanwhile(const BackupsMeanwhile&) = delete;

 private:
  boost::asio::io_context context_;
  Poller poller_;
  std::thread thread_;  // the last: it uses the others
};

// On each SIGHUP, for as long as the signals are waited for.
void reload_on_signal(boost::asio::signal_set& signals, http::Listener& listener, bool tls,
                      const LogSink& log) {
  signals.async_wait([&, tls](const boost::system::error_code& error, int) {
    if (error) return;
    if (!tls) {
      log(LogLevel::kInfo, "SIGHUP: there is nothing to reload without TLS");
    } else if (const Status reloaded = listener.reload_tls(); reloaded) {
      log(LogLevel::kInfo, "SIGHUP: new connections get the certificate as it is now");
    } else {
      log(LogLevel::kError, "SIGHUP: the certificate stays as it was: " + reloaded.error().message);
    }
    reload_on_signal(signals, listener, tls, log);
  });
}

const char* signal_name(int signal) {
  switch (signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      return "SIGHUP";
  }
}

// Waits for a signal that ends the server and gives its number; polls meanwhile.
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

// A replica is up to date before it listens. A signal meanwhile ends that.
Result<std::unique_ptr<Replica>> follow(host::Host& host, const ServeOptions& options,
                                        boost::asio::io_context& context, boost::asio::signal_set& signals,
                                        const LogSink& log) {
  TM_ASSIGN(const auto store, open_object_store(host.engine(), *options.sync_target, log));
  std::atomic<bool> cancelled{false};
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    cancelled = true;
    store->cancel();
  });
  // Only for as long as this takes.
  std::thread waiter([&context] { context.run(); });
  auto replica = Replica::start(host, store, {*options.sync_target, options.sync_interval_us, log},
                                [&cancelled] { return cancelled.load(); });
  signals.cancel();
  waiter.join();
  context.restart();
  return replica;
}

// A database that follows a backup would stop doing so at its first write.
Status check_all_own(host::Host& host) {
  for (const host::DatabaseRef& database : host.opened()) {
    if (const Status own = check_own(database->database()); !own)
      return fail(own.error().code,
                  "the database '" + database->name() +
                      "' belongs to a replica: serve it with "
                      "--sync-from-s3 as before (then tidemark promote makes it a primary), or "
                      "with --read-only");
  }
  return {};
}

}  // namespace

int serve(const ServeOptions& options) {
  const LogSink log = stderr_log(options.log_format, options.log_level);
  // In text form one plain line: this is what a person sees when a start fails.
  const auto fail_start = [&](const std::string& message) {
    if (options.log_format == LogFormat::kText)
      std::fprintf(stderr, "tidemark: %s\n", message.c_str());
    else
      log(LogLevel::kError, message);
    return 1;
  };
  for (const std::string& warning : options.warnings) log(LogLevel::kWarning, warning);
  // A log reader that goes away must not end the server.
  std::signal(SIGPIPE, SIG_IGN);
  allow_many_descriptors();
  // Taken from the start: a signal during recovery ends the server once it is up, in order.
  boost::asio::io_context signal_context;
  boost::asio::signal_set signals(signal_context, SIGTERM, SIGINT);
  boost::asio::signal_set reload_signals(signal_context);
  const bool tls = !options.tls_chain_path.empty();
  // Without TLS there is nothing to reload; then it may say that the server's terminal is gone.
  if (!tls && ::isatty(STDERR_FILENO) != 0)
    signals.add(SIGHUP);
  else
    reload_signals.add(SIGHUP);

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
  std::unique_ptr<Replica> replica;
  if (options.sync_target) {
    auto followed = follow(**host, options, signal_context, signals, log);
    if (!followed) return fail_start(followed.error().message);
    replica = std::move(*followed);
  } else if (const Status own = check_all_own(**host); !own && !options.read_only) {
    return fail_start(own.error().message);
  }
  BackupDriver backups(**host, {options.backup_target, options.shipper, options.gated, log});
  if (const Status usable = backups.check(); !usable)
    return fail_start("the backup to " + backup::describe(*options.backup_target) +
                      " cannot begin: " + usable.error().message);

  connect::ServiceOptions service_options;
  service_options.public_url = options.public_url;
  service_options.replica_urls = options.replica_urls;
  service_options.log = log;
  connect::Service service(**host, service_options);
  Health health(**host);
  RequestMetrics request_metrics;
  http::Listener* main_listener = nullptr;
  const Metrics metrics({host->get(), &health, &request_metrics,
                         [&main_listener] { return main_listener->counters(); }, options.data_dir, &backups,
                         replica.get()});
  OperatorPages pages(**host, health, metrics);
  HttpHandler handler({&service, &pages, &request_metrics, &engine->clock(),
                       options.log_level == LogLevel::kDebug ? log : LogSink()});
  OperatorHandler operator_handler(pages);
  http::Options listener_options;
  listener_options.address = options.address;
  listener_options.tls_chain_path = options.tls_chain_path;
  listener_options.tls_key_path = options.tls_key_path;
  Result<std::unique_ptr<http::Listener>> listener = http::Listener::create(listener_options, handler);
  if (!listener) return fail_start(listener.error().message);
  main_listener = listener->get();
  auto operator_listener = listen_for_operators(options, operator_handler, log);
  if (!operator_listener) return fail_start(operator_listener.error().message);
  const std::string url = !options.public_url.empty()
                              ? options.public_url
                              : (tls ? "https://" : "http://") + (*listener)->address();
  Result<std::unique_ptr<AdminServer>> admin =
      AdminServer::start(**host, options.data_dir, url, {&backups, replica.get()}, log);
  if (!admin) return fail_start(admin.error().message);
  (*listener)->start();
  const std::string& address = (*listener)->address();
  if (!tls && !is_loopback(address)) {
    log(LogLevel::kWarning,
        "WARNING: " + address +
            " is served without TLS: whoever can listen in on the network reads the access token and all "
            "data. "
            "Use --tls-cert and --tls-key, or a proxy with TLS and --addr 127.0.0.1:PORT");
  }
  reload_on_signal(reload_signals, **listener, tls, log);
  if (*operator_listener) {
    (*operator_listener)->start();
    log(LogLevel::kInfo, "Metrics on http://" + (*operator_listener)->address() + "/metrics");
  }
  log(LogLevel::kInfo, std::string("Listening on ") + (tls ? "https://" : "http://") + address);

  const int signal = wait_for_signal(signal_context, signals, [&host, &replica, &backups] {
    if (replica) replica->poll();
    if ((*host)->read_only()) return;
    backups.poll();
    (*host)->poll();
  });
  health.begin_stopping();
  log(LogLevel::kInfo, std::string("stopping on ") + signal_name(signal));
  const int64_t timeout_us = options.shutdown_timeout_ms * 1000;
  const int64_t deadline_us = engine->clock().monotonic_us() + timeout_us;
  const auto left_us = [&] { return std::max<int64_t>(deadline_us - engine->clock().monotonic_us(), 0); };
  std::optional<BackupsMeanwhile> meanwhile;
  if (!(*host)->read_only())
    meanwhile.emplace(**host, backups,
                      deadline_us - std::min(kBackupGraceUs, timeout_us / kBackupGraceShare));
  if (!(*listener)->stop(options.shutdown_timeout_ms)) {
    log(LogLevel::kWarning, "the shutdown timeout passed: open connections were cut off");
  }
  admin->reset();
  if (*operator_listener) (*operator_listener)->stop(kOperatorGraceMs);
  if (const int64_t unanswered = service.wait_until_idle(left_us()) + pages.wait_until_idle(left_us())) {
    log(LogLevel::kError,
        std::to_string(unanswered) +
            " requests did not end within the shutdown timeout; leaving without a clean close");
    std::_Exit(1);
  }
  meanwhile.reset();
  operator_listener->reset();
  listener->reset();
  if (replica) replica->stop();
  replica.reset();
  backups.stop(left_us());
  if (const Status closed = (*host)->close(); !closed) {
    log(LogLevel::kError, "the store did not close cleanly: " + closed.error().message);
    return 1;
  }
  log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace tidemark::tools
