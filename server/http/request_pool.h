// Requests of one loop, used again and again: their strings keep the room that they had, so that reading a
// request usually allocates nothing.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/http/handler.h"

namespace tidemark::http {

// One thread at a time.
class RequestPool {
 public:
  // Empty, as a new one.
  std::unique_ptr<Request> take() {
    if (spare_.empty()) return std::make_unique<Request>();
    auto request = std::move(spare_.back());
    spare_.pop_back();
    return request;
  }

  void give_back(std::unique_ptr<Request> request) {
    if (spare_.size() >= kMaxSpare) return;
    for (std::string Request::* field : kFields) {
      std::string& text = (*request).*field;
      // What few requests need is not kept.
      if (text.capacity() > kMaxKeptBytes) std::string().swap(text);
      text.clear();
    }
    request->secure = false;
    spare_.push_back(std::move(request));
  }

 private:
  static constexpr size_t kMaxSpare = 256;
  static constexpr size_t kMaxKeptBytes = 4 << 10;
  static constexpr std::string Request::* kFields[] = {
      &Request::method,           &Request::path, &Request::query,
      &Request::authorization,    &Request::host, &Request::database_id,
      &Request::protocol_version, &Request::body};

  std::vector<std::unique_ptr<Request>> spare_;
};

}  // namespace tidemark::http
