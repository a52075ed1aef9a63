// Whether the server is fit for requests.
#pragma once

#include <atomic>
#include <string_view>

#include "server/host/host.h"

namespace tidemark::tools {

// Any thread.
class Health {
 public:
  // `host` must outlive it.
  explicit Health(const host::Host& host) : host_(host) {}

  // From now on the server is shutting down.
  void begin_stopping() { stopping_.store(true, std::memory_order_relaxed); }

  // Why it is not ready, in a word for strangers: "stopping", "read-only" or "no-space"; empty if it is.
  std::string_view trouble() const {
    if (stopping_.load(std::memory_order_relaxed)) return "stopping";
    for (const auto& hosted : host_.open_databases()) {
      const Status writes = hosted->database().write_status();
      if (!writes) return writes.error().code == ErrorCode::kNoSpace ? "no-space" : "read-only";
    }
    return {};
  }

 private:
  const host::Host& host_;
  std::atomic<bool> stopping_{false};
};

}  // namespace tidemark::tools
