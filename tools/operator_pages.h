// What the server answers beside KV Connect: GET /healthz, /readyz, /metrics and /metrics/databases.
#pragma once

#include <cstdint>

#include "server/connect/in_flight.h"
#include "server/host/host.h"
#include "server/http/handler.h"
#include "tools/health.h"
#include "tools/metrics.h"

namespace tidemark::tools {

// Any thread.
class OperatorPages {
 public:
  // All must outlive it.
  OperatorPages(host::Host& host, const Health& health, const Metrics& metrics)
      : host_(host), health_(health), metrics_(metrics) {}

  enum class Access : uint8_t { kOpen, kWithToken };  // to metrics; the others tell no secrets

  // False if the request is for none of the pages. Otherwise it is answered, now or from another thread.
  bool handle(const http::Request& request, const http::Responder& responder, Access access);

  // Waits until every answer was given, for at most `timeout_us` microseconds. Returns how many were not.
  int64_t wait_until_idle(int64_t timeout_us) {
    return in_flight_.wait_for_none(host_.engine().clock(), timeout_us);
  }

 private:
  void answer_metrics(const http::Request& request, const http::Responder& responder, Access access);

  host::Host& host_;
  const Health& health_;
  const Metrics& metrics_;
  connect::InFlight in_flight_;
};

// All that a listener for operators only serves.
class OperatorHandler final : public http::Handler {
 public:
  explicit OperatorHandler(OperatorPages& pages) : pages_(pages) {}
  void handle(const http::Request& request, http::Responder responder) override;
  uint64_t max_body_bytes(std::string_view, std::string_view) const override { return 0; }

 private:
  OperatorPages& pages_;
};

}  // namespace tidemark::tools
