// One event loop: an io_context, its thread, its connections, its tick. Internal.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "server/http/session.h"
#include "server/http/tls_stream.h"

namespace tidemark::http {

class Connection;
class Loop;

// The mailbox owns the io_context, since a Responder may outlive the loop and yet wake it.
class LoopMailbox final : public Mailbox {
 public:
  ~LoopMailbox() override;
  boost::asio::io_context io{1};  // one thread runs it

  void wake() override;
  void deliver(Exchange& exchange) override;
  void reserved(const Exchange& exchange, int64_t delta) override;
  void source_ready(uint64_t connection, int64_t number) override;

 private:
  friend class Loop;
  Loop* loop_ = nullptr;  // on the loop's thread only; null when it has ended
};

class Loop {
 public:
  // `open_connections`: counts those of all loops. `look_again`: called when this loop's connections have
  // given back so much that others, which waited for a budget, should look again.
  Loop(const Options& options, Handler& handler, const TlsContext* tls, SharedBudget& responses,
       SharedBudget& requests, std::atomic<uint32_t>& open_connections, std::function<void()> look_again);
  // REQUIRES: joined, or never started.
  ~Loop();
  Loop(const Loop&) = delete;

  boost::asio::io_context& io() { return mailbox_->io; }
  void start();
  void join();

  // Any thread; they post to the loop.
  void adopt(boost::asio::ip::tcp::socket socket);  // counted in open_connections by the caller
  void drain(std::function<void()> when_empty);
  void close_all();  // and end the thread
  void look_again();

  // On the loop's thread, for Connection.
  LoopContext& context() { return context_; }
  std::span<char> read_buffer() { return {read_buffer_.get(), kReadBytes}; }
  TlsBuffers& tls_buffers() { return *tls_buffers_; }  // if the connections speak TLS
  void remove(Connection& connection);
  void wait_for_budget(Connection& connection);
  // What every handler of an event ends with: pumps those connections that got an answer during it.
  void end_turn();

 private:
  friend class LoopMailbox;
  static constexpr size_t kReadBytes = 64 << 10;

  void run();
  void add(boost::asio::ip::tcp::socket socket);
  Connection* find(uint64_t id);
  void arm_tick();
  void tick();
  void close_largest();
  void pump_waiting();
  template <class F>
  void for_each(F&& f);

  std::shared_ptr<LoopMailbox> mailbox_;
  LoopContext context_;
  std::atomic<uint32_t>& open_connections_;
  const std::function<void()> look_again_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  int64_t last_tick_us_ = 0;
  std::unique_ptr<char[]> read_buffer_;
  std::unique_ptr<TlsBuffers> tls_buffers_;
  // By slot; a connection's id is its slot and, above, how often the slot was used.
  struct Slot {
    std::shared_ptr<Connection> connection;
    uint32_t uses = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  size_t open_ = 0;
  std::vector<std::shared_ptr<Connection>> dirty_;
  std::vector<uint64_t> waiting_;  // ids of connections that wait for a budget, maybe long gone
  int64_t exceeded_since_ms_ = -1;
  bool draining_ = false;
  bool ending_ = false;
  std::function<void()> when_empty_;
  std::thread thread_;
};

}  // namespace tidemark::http
