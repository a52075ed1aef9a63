// The answer to a watch: frames for as long as the client listens.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/sync.h"
#include "server/connect/call.h"
#include "server/connect/in_flight.h"
#include "server/host/host.h"
#include "server/kv/watch.h"

namespace tidemark::connect {

// Reads on the thread that asks for a frame if all that is needed is in memory, otherwise on the read lane.
class WatchSource final : public PieceSource, public std::enable_shared_from_this<WatchSource> {
 public:
  // Holds the database and a ticket for as long as it lives. `executor` must outlive it. `wake`: see
  // kv::Watch. `good` says whether the client may still see the database; asked each time before a frame is
  // made, and at each keep-alive. `failed` is told, on any thread, if a read fails. After either the watch
  // ends, and the client is to ask again.
  WatchSource(InFlight& in_flight, std::shared_ptr<host::HostedDatabase> database,
              std::optional<kv::PastView> past, std::vector<std::string> keys, const kv::ReadBounds& bounds,
              Executor& executor, std::function<void()> wake, std::function<bool()> good,
              std::function<void(const Error&)> failed);

  Next next(std::string& piece) override;
  uint64_t bytes_in_making() const override;

 private:
  Next read(const kv::ReadBounds& bounds, std::string& piece, bool& would_block);
  void read_in_background();

  // Members are destroyed from the last to the first: the ticket goes when nothing else is left.
  InFlight::Ticket ticket_;
  const std::shared_ptr<host::HostedDatabase> database_;
  const kv::ReadBounds bounds_;
  const uint64_t max_frame_bytes_;
  Executor& executor_;
  const std::function<void()> wake_;
  const std::function<bool()> good_;
  const std::function<void(const Error&)> failed_;
  kv::Watch watch_;  // used by who asks for frames, or while reading_ is set by the read lane

  mutable Mutex mutex_;
  bool reading_ TM_GUARDED_BY(mutex_) = false;
  std::optional<std::pair<Next, std::string>> prepared_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::connect
