// The mailbox is a stack that producers push onto with one compare-and-swap and the loop takes whole with one
// exchange; reversed, it is in order. Who pushes onto an empty one wakes the loop, so answers given faster
// than the loop wakes cost one wake-up together. A closed mailbox holds a mark in place of its newest entry.
#include "server/http/exchange.h"

namespace tidemark::http {

thread_local const Mailbox* Mailbox::current_ = nullptr;

// Never dereferenced.
Mail* Mailbox::closed_mark() {
  static char mark;
  return reinterpret_cast<Mail*>(&mark);
}

Mailbox::~Mailbox() {
  close();
}

bool Mailbox::push(std::shared_ptr<Mail> mail) {
  Mail* const entry = mail.get();
  entry->self_ = std::move(mail);
  Mail* newest = newest_.load(std::memory_order_relaxed);
  do {
    if (newest == closed_mark()) {
      const auto dropped = std::move(entry->self_);
      return false;
    }
    entry->next_ = newest;
  } while (
      !newest_.compare_exchange_weak(newest, entry, std::memory_order_release, std::memory_order_relaxed));
  return newest == nullptr;
}

void Mailbox::drain() {
  if (newest_.load(std::memory_order_relaxed) == nullptr) return;
  Mail* entry = newest_.exchange(nullptr, std::memory_order_acquire);
  Mail* oldest = nullptr;
  while (entry != nullptr) {
    Mail* const next = entry->next_;
    entry->next_ = oldest;
    oldest = entry;
    entry = next;
  }
  while (oldest != nullptr) {
    // From here on it may be put into the mailbox again.
    const auto mail = std::move(oldest->self_);
    oldest = oldest->next_;
    mail->arrive(*this);
  }
}

void Mailbox::close() {
  Mail* entry = newest_.exchange(closed_mark(), std::memory_order_acq_rel);
  if (entry == closed_mark()) return;
  while (entry != nullptr) {
    const auto dropped = std::move(entry->self_);
    entry = entry->next_;
  }
}

namespace {

// Says that a source may have a piece; in the mailbox once, however often it is called.
class Wake final : public Mail, public std::enable_shared_from_this<Wake> {
 public:
  Wake(std::shared_ptr<Mailbox> mailbox, uint64_t connection, int64_t number)
      : mailbox_(std::move(mailbox)), connection_(connection), number_(number) {}

  void call() {
    if (called_.exchange(true, std::memory_order_acq_rel)) return;
    if (mailbox_->push(shared_from_this())) mailbox_->wake();
  }
  void arrive(Mailbox& mailbox) override {
    called_.store(false, std::memory_order_release);
    mailbox.source_ready(connection_, number_);
  }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  const uint64_t connection_;
  const int64_t number_;
  std::atomic<bool> called_{false};
};

}  // namespace

Exchange::~Exchange() {
  if (answered_.load(std::memory_order_relaxed)) return;
  // No one can answer any more. This object is dying, so another one carries the news.
  try {
    auto heir = std::make_shared<Exchange>(mailbox_, connection, number, reserved_, request_bytes_);
    heir->respond({500, "text/plain", "The server gave no answer to this request."});
  } catch (...) {
    // Out of memory: the client waits until the connection ends.
  }
}

void Exchange::respond(Response response) {
  if (answered_.exchange(true, std::memory_order_acq_rel)) return;
  response_ = std::move(response);
  if (mailbox_->on_loop_thread()) {
    mailbox_->deliver(*this);
  } else if (mailbox_->push(shared_from_this())) {
    mailbox_->wake();
  }
}

void Exchange::reserve(uint64_t bytes) {
  if (!mailbox_->on_loop_thread() || answered_.load(std::memory_order_relaxed)) return;
  const auto delta = static_cast<int64_t>(bytes) - static_cast<int64_t>(reserved_);
  reserved_ = bytes;
  mailbox_->reserved(*this, delta);
}

std::function<void()> Exchange::waker() {
  return [wake = std::make_shared<Wake>(mailbox_, connection, number)] { wake->call(); };
}

}  // namespace tidemark::http
