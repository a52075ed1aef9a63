// Joins the HTTP listener and KV Connect.
#pragma once

#include "server/connect/service.h"
#include "server/http/handler.h"

namespace tidemark::tools {

class HttpHandler final : public http::Handler {
 public:
  // `service` must outlive it.
  explicit HttpHandler(connect::Service& service) : service_(service) {}

  void handle(const http::Request& request, http::Responder responder) override;
  uint64_t max_body_bytes(std::string_view method, std::string_view path) const override {
    return service_.max_body_bytes(method, path);
  }

 private:
  connect::Service& service_;
};

}  // namespace tidemark::tools
