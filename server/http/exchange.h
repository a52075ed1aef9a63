// How answers get back to the loop that owns their connection: the Target behind a Responder, and the loop's
// mailbox.
//
// Neither knows the connection, only its number and the stream's: both may be gone when the answer comes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "server/http/handler.h"

namespace tidemark::http {

class Exchange;
class Mailbox;

// What lies in a mailbox. One at a time.
class Mail {
 public:
  virtual ~Mail() = default;
  // On the loop's thread.
  virtual void arrive(Mailbox& mailbox) = 0;

 private:
  friend class Mailbox;
  Mail* next_ = nullptr;
  std::shared_ptr<Mail> self_;
};

// The entrance of one loop for other threads. Lives as long as anything that may be put into it, so longer
// than the loop. Any thread, unless said otherwise.
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  virtual ~Mailbox();

  // True if there was nothing in it: then the caller has to call wake(). Drops the mail when closed.
  bool push(std::shared_ptr<Mail> mail);
  // Makes the loop take what is in it. Thread-safe until close() has returned and harmless after it.
  virtual void wake() = 0;

  // Whether the caller runs on the loop's thread.
  bool on_loop_thread() const { return current_ == this; }
  // Says which loop the calling thread is; null: none.
  static void set_current(const Mailbox* mailbox) { current_ = mailbox; }

  // On the loop's thread: hands over an exchange that has been answered.
  virtual void deliver(Exchange& exchange) = 0;
  // On the loop's thread: an exchange's reservation has changed by `delta` bytes.
  virtual void reserved(const Exchange& exchange, int64_t delta) = 0;
  // On the loop's thread: the source of a connection's request may have a piece.
  virtual void source_ready(uint64_t connection, int64_t number) = 0;

 protected:
  // On the loop's thread: delivers everything, oldest first.
  void drain();
  // Drops everything now and from now on.
  void close();

 private:
  static Mail* closed_mark();
  static thread_local const Mailbox* current_;
  std::atomic<Mail*> newest_{nullptr};  // linked from newest to oldest
};

class Exchange final : public Responder::Target, public Mail, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(std::shared_ptr<Mailbox> mailbox, uint64_t connection, int64_t number, uint64_t reserved,
           uint64_t request_bytes)
      : connection(connection),
        number(number),
        mailbox_(std::move(mailbox)),
        reserved_(reserved),
        request_bytes_(request_bytes) {}
  ~Exchange() override;

  void respond(Response response) override;
  void reserve(uint64_t bytes) override;
  std::function<void()> waker() override;
  void arrive(Mailbox& mailbox) override { mailbox.deliver(*this); }

  const uint64_t connection;
  const int64_t number;  // of the request within its connection
  Response& response() { return response_; }
  uint64_t reserved() const { return reserved_; }
  uint64_t request_bytes() const { return request_bytes_; }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  uint64_t reserved_;             // of the response budget; set on the loop's thread before the answer
  const uint64_t request_bytes_;  // of the request budget
  std::atomic<bool> answered_{false};
  Response response_;
};

}  // namespace tidemark::http
