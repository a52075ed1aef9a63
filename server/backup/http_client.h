// Requests over HTTP/1.1, one at a time on a thread that waits, over connections that are kept.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/status.h"
#include "engine/io/sync.h"

namespace tidemark::backup {

struct HttpLimits {
  int64_t connect_ms = 10'000;
  // A transfer that stays below a kilobyte a second for so long is given up; waiting for the answer counts.
  int64_t stall_s = 60;
};

struct HttpRequest {
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // Host among them
  std::string_view body;
  bool has_body = false;      // an empty body is one, too
  uint64_t answer_max = 0;    // bytes of the body of an answer 200
  bool needs_length = false;  // an answer 200 that does not say its length may be cut off: it is refused
};

struct HttpAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;       // of other answers than 200: no more than the first 64 KiB
  bool too_long = false;  // 200, and more than answer_max; the body is not there
  // Empty if there is none.
  std::string_view header(std::string_view name) const;
};

// Any thread. Certificates are verified. Redirects are not followed. Proxies are those that curl finds in the
// environment (https_proxy, http_proxy, no_proxy). REQUIRES: the process ignores SIGPIPE.
class HttpClient {
 public:
  // `ca_file`: certificates to trust, in PEM; empty: the system's.
  explicit HttpClient(const HttpLimits& limits, std::string ca_file = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  // Whatever the status, an answer is a success. kUnavailable: no connection, no or half an answer, too slow;
  // whether the server has got the request is not known. kDenied: a certificate that is not trusted.
  // kShutdown after cancel().
  Result<HttpAnswer> perform(const HttpRequest& request);
  // Ends what is under way within about a second, and what comes later at once.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  struct CloseHandle {
    void operator()(void* handle) const;
  };
  using Handle = std::unique_ptr<void, CloseHandle>;  // curl's, with the connection that it holds open

  Handle take_handle();
  void give_back(Handle handle);

  const HttpLimits limits_;
  const std::string ca_file_;
  std::atomic<bool> cancelled_ = false;
  Mutex mutex_;
  std::vector<Handle> idle_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::backup
