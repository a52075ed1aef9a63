// Answers that come from other threads are applied to their sessions first, all that are there, and their
// connections pumped after that: one gathered write for each.
//
// Time: one timer per loop ticks, and every connection looks at the loop's clock then. That clock moves by
// two ticks at most for each tick, so that a machine that slept does not find all its clients late.
#include "server/http/loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "engine/io/clock.h"
#include "server/http/connection.h"

namespace tidemark::http {

namespace asio = boost::asio;

LoopMailbox::~LoopMailbox() = default;

void LoopMailbox::wake() {
  asio::post(io, [this] {
    if (loop_ == nullptr) return;
    loop_->context_.counters.wakeups.add();
    drain();
    loop_->end_turn();
  });
}

void LoopMailbox::deliver(Exchange& exchange) {
  if (loop_ == nullptr) return;
  loop_->context_.responses.add(-static_cast<int64_t>(exchange.reserved()));
  loop_->context_.requests.add(-static_cast<int64_t>(exchange.request_bytes()));
  Connection* const connection = loop_->find(exchange.connection);
  if (connection == nullptr || connection->session() == nullptr) return;
  connection->peer().settle(exchange);
  connection->session()->answer(exchange.number, std::move(exchange.response()));
  if (connection->mark_dirty()) loop_->dirty_.push_back(connection->shared_from_this());
}

void LoopMailbox::reserved(const Exchange& exchange, int64_t delta) {
  if (loop_ == nullptr) return;
  loop_->context_.responses.add(delta);
  if (Connection* const connection = loop_->find(exchange.connection))
    connection->peer().change_reservation(delta);
}

void LoopMailbox::source_ready(uint64_t id, int64_t number) {
  if (loop_ == nullptr) return;
  Connection* const connection = loop_->find(id);
  if (connection == nullptr || connection->session() == nullptr) return;
  connection->session()->source_ready(number);
  if (connection->mark_dirty()) loop_->dirty_.push_back(connection->shared_from_this());
}

Loop::Loop(const Options& options, Handler& handler, const TlsContext* tls, SharedBudget& responses,
           SharedBudget& requests, std::atomic<uint32_t>& open_connections, std::function<void()> look_again)
    : mailbox_(std::make_shared<LoopMailbox>()),
      context_(options, handler, tls, responses, requests),
      open_connections_(open_connections),
      look_again_(std::move(look_again)),
      work_(asio::make_work_guard(mailbox_->io)),
      timer_(mailbox_->io),
      read_buffer_(new char[kReadBytes]) {
  mailbox_->loop_ = this;
  context_.mailbox = mailbox_;
  if (tls != nullptr) tls_buffers_ = std::make_unique<TlsBuffers>();
  format_date(system_clock().wall_us() / 1'000'000, context_.date);
}

Loop::~Loop() {
  mailbox_->close();
  mailbox_->loop_ = nullptr;
}

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::join() {
  if (thread_.joinable()) thread_.join();
}

void Loop::run() {
  Mailbox::set_current(mailbox_.get());
  last_tick_us_ = system_clock().monotonic_us();
  arm_tick();
  for (;;) {
    try {
      mailbox_->io.run();
      break;
    } catch (...) {
      // Memory ran out outside of any connection's reach. The loop is needed; go on.
    }
  }
  // Answers that come from now on have nowhere to go.
  mailbox_->close();
  mailbox_->loop_ = nullptr;
  Mailbox::set_current(nullptr);
}

template <class F>
void Loop::for_each(F&& f) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (const auto connection = slots_[i].connection) f(*connection);
  }
}

void Loop::adopt(asio::ip::tcp::socket socket) {
  asio::post(mailbox_->io, [this, socket = std::move(socket)]() mutable {
    add(std::move(socket));
    end_turn();
  });
}

void Loop::add(asio::ip::tcp::socket socket) {
  if (draining_) {
    open_connections_.fetch_sub(1, std::memory_order_relaxed);
    return;  // closes it
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  const uint64_t id = uint64_t{++slots_[slot].uses} << 32 | slot;
  const auto connection = std::make_shared<Connection>(*this, std::move(socket), id);
  slots_[slot].connection = connection;
  ++open_;
  context_.counters.connections.add();
  connection->start();
}

Connection* Loop::find(uint64_t id) {
  const auto slot = static_cast<uint32_t>(id);
  if (slot >= slots_.size() || slots_[slot].uses != id >> 32) return nullptr;
  return slots_[slot].connection.get();
}

void Loop::remove(Connection& connection) {
  const auto slot = static_cast<uint32_t>(connection.peer().id);
  slots_[slot].connection.reset();
  free_slots_.push_back(slot);
  --open_;
  open_connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Loop::wait_for_budget(Connection& connection) {
  if (std::exchange(connection.waits_for_budget_, true)) return;
  waiting_.push_back(connection.peer().id);
}

void Loop::pump_waiting() {
  std::vector<uint64_t> waiting;
  waiting.swap(waiting_);
  for (const uint64_t id : waiting) {
    Connection* const connection = find(id);
    if (connection == nullptr) continue;
    const auto keep = connection->shared_from_this();
    keep->waits_for_budget_ = false;
    keep->guarded([&] { keep->pump(); });
  }
}

void Loop::end_turn() {
  while (!dirty_.empty()) {
    std::vector<std::shared_ptr<Connection>> dirty;
    dirty.swap(dirty_);
    for (const auto& connection : dirty) connection->guarded([&] { connection->pump(); });
  }
  const bool responses_opened = context_.responses.take_opened();
  const bool requests_opened = context_.requests.take_opened();
  if (responses_opened || requests_opened) look_again_();
  if (draining_ && open_ == 0 && when_empty_) std::exchange(when_empty_, nullptr)();
}

void Loop::look_again() {
  asio::post(mailbox_->io, [this] {
    pump_waiting();
    end_turn();
  });
}

void Loop::arm_tick() {
  timer_.expires_after(std::chrono::milliseconds(context_.options.tick_ms));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || ending_) return;
    const int64_t passed_ms = (system_clock().monotonic_us() - last_tick_us_) / 1000;
    last_tick_us_ += passed_ms * 1000;
    context_.now_ms += std::min(passed_ms, 2 * context_.options.tick_ms);
    tick();
    arm_tick();
  });
}

void Loop::tick() {
  format_date(system_clock().wall_us() / 1'000'000, context_.date);
  context_.responses.publish();
  context_.requests.publish();
  for_each([](Connection& connection) { connection.guarded([&] { connection.tick(); }); });
  close_largest();
  pump_waiting();
  end_turn();
}

// Clients that read slowly, but fast enough for their own time limit, could hold the whole budget between
// them. So when it has been exceeded for as long as a write timeout, each tick ends the one that holds most
// among those that have not been done for that long and would not be within another one.
void Loop::close_largest() {
  if (!context_.responses.exceeded()) {
    exceeded_since_ms_ = -1;
    return;
  }
  if (exceeded_since_ms_ < 0) exceeded_since_ms_ = context_.now_ms;
  if (context_.now_ms - exceeded_since_ms_ <= context_.options.write_timeout_ms) return;
  Connection* largest = nullptr;
  for_each([&](Connection& connection) {
    if (!connection.too_slow()) return;
    if (largest == nullptr || connection.peer().response_bytes() > largest->peer().response_bytes())
      largest = &connection;
  });
  if (largest == nullptr) return;
  context_.counters.timeouts.add();
  largest->close_hard();
}

void Loop::drain(std::function<void()> when_empty) {
  asio::post(mailbox_->io, [this, when_empty = std::move(when_empty)]() mutable {
    draining_ = true;
    when_empty_ = std::move(when_empty);
    for_each([](Connection& connection) { connection.guarded([&] { connection.drain(); }); });
    end_turn();
  });
}

void Loop::close_all() {
  asio::post(mailbox_->io, [this] {
    draining_ = true;
    for_each([](Connection& connection) { connection.close_hard(); });
    dirty_.clear();
    end_turn();
    // No stop(): what waited on the closed sockets has to run, and nothing else is left to run.
    ending_ = true;
    timer_.cancel();
    work_.reset();
  });
}

}  // namespace tidemark::http
