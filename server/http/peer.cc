#include <utility>

#include "server/http/session.h"

namespace tidemark::http {

Peer::~Peer() {
  release_pins();
  // What the session still held, it held in these two.
  loop.responses.add(-responses_);
  loop.requests.add(-requests_);
}

void Peer::call_handler(int64_t number, const Request& request, uint64_t charged) {
  const uint64_t reserved = loop.options.unanswered_bytes;
  auto exchange = std::make_shared<Exchange>(loop.mailbox, id, number, reserved, charged);
  reserved_ += static_cast<int64_t>(reserved);
  loop.responses.add(static_cast<int64_t>(reserved));
  requests_ -= static_cast<int64_t>(charged);
  handled_requests_ += static_cast<int64_t>(charged);
  loop.counters.requests.add();
  try {
    loop.handler.handle(request, Responder(std::move(exchange)));
  } catch (...) {
    // The responder is gone, which is answered with 500.
  }
}

void Peer::release_pins() {
  if (pins_.empty()) return;
  size_t bytes = 0;
  for (const std::string& body : pins_) bytes += body.size();
  pins_.clear();
  release_response(bytes);
}

Response plain_error(int status, std::string_view sentence) {
  return {status, "text/plain", std::string(sentence)};
}

}  // namespace tidemark::http
