// How far a long transfer has come, for whoever looks on.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "engine/base/status.h"

namespace tidemark::tools {

// Is told from time to time in words; its error ends the transfer.
using TransferProgress = std::function<Status(const std::string&)>;

// Passes on the first of what comes too often, then one a few times a second. One thread.
class ProgressPacer {
 public:
  explicit ProgressPacer(const TransferProgress& progress) : progress_(progress) {}

  // `text` is a callable that makes the words.
  template <class Text>
  Status tick(const Text& text) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return {};
    next_ = now + kPause;
    return progress_(text());
  }

 private:
  static constexpr std::chrono::milliseconds kPause{200};
  const TransferProgress& progress_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace tidemark::tools
