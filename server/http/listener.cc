// The first loop accepts, straight into the socket of the loop whose turn it is.
#include "server/http/listener.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <optional>
#include <thread>
#include <vector>

#include "engine/io/clock.h"
#include "engine/io/sync.h"
#include "server/http/loop.h"

namespace tidemark::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kAcceptRetryMs = 100;

struct HostPort {
  std::string host;
  uint16_t port;
};

Result<HostPort> split_address(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalidArgument,
                "\"" + std::string(text) + "\" is not an address of the form HOST:PORT");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || digits.empty() || error != std::errc() || end != digits.data() + digits.size())
    return bad();
  return HostPort{std::string(host), port};
}

}  // namespace

struct Listener::Impl {
  Impl(const Options& given, Handler& handler, std::unique_ptr<TlsContext> tls_context)
      : options(given),
        tls(std::move(tls_context)),
        responses(options.response_bytes_total),
        requests(options.request_bytes_total) {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const int count = options.loops > 0 ? options.loops : cores;
    for (int i = 0; i < count; ++i) {
      loops.push_back(std::make_unique<Loop>(options, handler, tls.get(), responses, requests, open,
                                             [this] { look_again(); }));
    }
    acceptor.emplace(loops[0]->io());
    retry.emplace(loops[0]->io());
  }

  Status bind() {
    TM_ASSIGN(const HostPort wanted, split_address(options.address));
    error_code error;
    tcp::resolver resolver(loops[0]->io());
    const auto found =
        resolver.resolve(wanted.host, std::to_string(wanted.port), tcp::resolver::passive, error);
    if (error || found.empty())
      return fail(ErrorCode::kInvalidArgument,
                  "\"" + wanted.host + "\" is not a known host: " + error.message());
    // A name may stand for several; the first that can be bound will do.
    for (const auto& entry : found) {
      const tcp::endpoint endpoint = entry.endpoint();
      error = {};
      if (acceptor->is_open()) acceptor->close();
      acceptor->open(endpoint.protocol(), error);
      if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
      if (!error) acceptor->bind(endpoint, error);
      if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
      if (!error) break;
    }
    if (error) return fail(ErrorCode::kIo, "cannot listen on " + options.address + ": " + error.message());
    const tcp::endpoint local = acceptor->local_endpoint(error);
    if (error) return fail(ErrorCode::kIo, "cannot listen on " + options.address + ": " + error.message());
    port = local.port();
    const std::string host = local.address().to_string();
    address = (local.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
    return {};
  }

  void look_again() {
    for (const auto& loop : loops) loop->look_again();
  }

  // On the first loop's thread, as all of accepting.
  void accept() {
    Loop& loop = *loops[next];
    acceptor->async_accept(loop.io(), [this, &loop](const error_code& error, tcp::socket socket) {
      if (!acceptor->is_open()) return;
      if (!error) {
        admit(loop, std::move(socket));
      } else if (error != asio::error::connection_aborted) {
        // Out of file handles or memory, mostly: the same call would fail at once again.
        accept_errors.add();
        retry->expires_after(std::chrono::milliseconds(kAcceptRetryMs));
        retry->async_wait([this](const error_code& cancelled) {
          if (!cancelled && acceptor->is_open()) accept();
        });
        return;
      }
      accept();
    });
  }

  void admit(Loop& loop, tcp::socket socket) {
    if (open.load(std::memory_order_relaxed) >= options.max_connections) {
      refused.add();
      return;  // closes it
    }
    open.fetch_add(1, std::memory_order_relaxed);
    next = (next + 1) % loops.size();
    loop.adopt(std::move(socket));
  }

  const Options options;
  const std::unique_ptr<TlsContext> tls;
  SharedBudget responses;
  SharedBudget requests;
  std::atomic<uint32_t> open{0};
  Counter refused, accept_errors;
  std::vector<std::unique_ptr<Loop>> loops;
  std::optional<tcp::acceptor> acceptor;
  std::optional<asio::steady_timer> retry;
  size_t next = 0;
  std::string address;
  uint16_t port = 0;
  bool started = false;
  bool stopped = false;
};

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Listener>> Listener::create(const Options& options, Handler& handler) {
  std::unique_ptr<TlsContext> tls;
  if (!options.tls_chain_path.empty()) {
    TM_ASSIGN(tls, TlsContext::load(options.tls_chain_path, options.tls_key_path));
  }
  auto impl = std::make_unique<Impl>(options, handler, std::move(tls));
  TM_TRY(impl->bind());
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

Listener::~Listener() {
  stop(0);
}

void Listener::start() {
  impl_->started = true;
  asio::post(impl_->loops[0]->io(), [impl = impl_.get()] { impl->accept(); });
  for (const auto& loop : impl_->loops) loop->start();
}

const std::string& Listener::address() const {
  return impl_->address;
}
uint16_t Listener::port() const {
  return impl_->port;
}

bool Listener::stop(int64_t grace_ms) {
  if (std::exchange(impl_->stopped, true) || !impl_->started) return true;
  struct {
    Mutex mutex;
    CondVar changed;
    size_t busy = 0;
  } state;
  state.busy = impl_->loops.size();
  // The first loop stops accepting before any loop is told to drain, so that none gets a connection after
  // that.
  asio::post(impl_->loops[0]->io(), [impl = impl_.get(), &state] {
    error_code ignored;
    impl->acceptor->close(ignored);
    impl->retry->cancel();
    for (const auto& loop : impl->loops) {
      loop->drain([&state] {
        MutexLock lock(state.mutex);
        --state.busy;
        state.changed.notify_all();
      });
    }
  });
  bool clean = false;
  {
    Clock& clock = system_clock();
    const int64_t end_us = clock.monotonic_us() + grace_ms * 1000;
    MutexLock lock(state.mutex);
    for (;;) {
      clean = state.busy == 0;
      const int64_t left_us = end_us - clock.monotonic_us();
      if (clean || left_us <= 0) break;
      state.changed.wait_for_us(state.mutex, left_us);
    }
  }
  for (const auto& loop : impl_->loops) loop->close_all();
  for (const auto& loop : impl_->loops) loop->join();
  return clean;
}

Status Listener::reload_tls() {
  return impl_->tls->reload();
}

Counters Listener::counters() const {
  Counters sum;
  sum.connections_open = impl_->open.load(std::memory_order_relaxed);
  sum.connections_refused = impl_->refused.get();
  sum.accept_errors = impl_->accept_errors.get();
  int64_t responses = 0, requests = 0;
  for (const auto& loop : impl_->loops) {
    const auto& context = loop->context();
    sum.connections_total += context.counters.connections.get();
    sum.requests += context.counters.requests.get();
    for (size_t i = 0; i < sum.responses.size(); ++i) sum.responses[i] += context.counters.responses[i].get();
    sum.timeouts += context.counters.timeouts.get();
    sum.floods += context.counters.floods.get();
    sum.wakeups += context.counters.wakeups.get();
    sum.writes += context.counters.writes.get();
    responses += context.responses.held();
    requests += context.requests.held();
  }
  sum.response_bytes_waiting = static_cast<uint64_t>(std::max<int64_t>(responses, 0));
  sum.request_bytes_held = static_cast<uint64_t>(std::max<int64_t>(requests, 0));
  return sum;
}

}  // namespace tidemark::http
