// Joins the HTTP listener, KV Connect and the operator's pages.
#pragma once

#include "engine/base/log.h"
#include "engine/io/clock.h"
#include "server/connect/service.h"
#include "server/http/handler.h"
#include "tools/operator_pages.h"
#include "tools/request_metrics.h"

namespace tidemark::tools {

class HttpHandler final : public http::Handler {
 public:
  struct Parts {
    connect::Service* service;
    OperatorPages* pages;
    RequestMetrics* metrics;
    Clock* clock;
    LogSink request_log;  // gets a line for each of KV Connect's calls; may be empty
  };
  // All that `parts` names must outlive it, and every answer.
  explicit HttpHandler(Parts parts) : parts_(std::move(parts)) {}

  void handle(const http::Request& request, http::Responder responder) override;
  uint64_t max_body_bytes(std::string_view method, std::string_view path) const override {
    return parts_.service->max_body_bytes(method, path);
  }

 private:
  void finish(CallKind kind, int64_t begun_us, int status);

  const Parts parts_;
};

}  // namespace tidemark::tools
