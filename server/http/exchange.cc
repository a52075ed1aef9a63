// The mailbox is a stack that producers push onto with one compare-and-swap and the loop takes whole with one
// exchange; reversed, it is in order. Who pushes onto an empty one wakes the loop, so answers given faster
// than the loop wakes cost one wake-up together. A closed mailbox holds a mark in place of its newest entry.
#include "server/http/exchange.h"

namespace tidemark::http {

thread_local const Mailbox* Mailbox::current_ = nullptr;

// Never dereferenced.
Exchange* Mailbox::closed_mark() {
  static char mark;
  return reinterpret_cast<Exchange*>(&mark);
}

Mailbox::~Mailbox() {
  close();
}

bool Mailbox::push(std::shared_ptr<Exchange> exchange) {
  Exchange* const entry = exchange.get();
  entry->self_ = std::move(exchange);
  Exchange* newest = newest_.load(std::memory_order_relaxed);
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
  Exchange* entry = newest_.exchange(nullptr, std::memory_order_acquire);
  Exchange* oldest = nullptr;
  while (entry != nullptr) {
    Exchange* const next = entry->next_;
    entry->next_ = oldest;
    oldest = entry;
    entry = next;
  }
  while (oldest != nullptr) {
    const auto exchange = std::move(oldest->self_);
    oldest = oldest->next_;
    deliver(*exchange);
  }
}

void Mailbox::close() {
  Exchange* entry = newest_.exchange(closed_mark(), std::memory_order_acq_rel);
  if (entry == closed_mark()) return;
  while (entry != nullptr) {
    const auto dropped = std::move(entry->self_);
    entry = entry->next_;
  }
}

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

}  // namespace tidemark::http
