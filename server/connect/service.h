// KV Connect: takes calls, answers them from the databases of a host.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/log.h"
#include "server/connect/call.h"
#include "server/connect/in_flight.h"
#include "server/connect/protocol.h"
#include "server/host/host.h"

namespace tidemark::connect {

struct ServiceOptions {
  // What clients reach the server by, without a slash at the end ("https://kv.example.org"); empty: whatever
  // they used. Given to clients as the endpoint.
  std::string public_url;
  // Replicas of this server, in the same form. They take its data-path tokens.
  std::vector<std::string> replica_urls;
  // A read that looks at more entries than this in a range, gives more bytes than this, or needs the disk,
  // leaves the network thread.
  uint64_t inline_read_steps = 512;
  uint64_t inline_read_bytes = 256 << 10;
  LogSink log;  // may be empty
};

// Any thread.
class Service {
 public:
  // `host` must outlive it.
  Service(host::Host& host, ServiceOptions options);
  // REQUIRES: wait_until_idle() returned 0 after the last call of handle().
  ~Service();

  // Answers by `done`, before it returns or later from another thread. Never blocks on I/O.
  void handle(const Call& call, Done done);
  // The largest body that such a request may have.
  uint64_t max_body_bytes(std::string_view method, std::string_view path) const;

  // Waits until every call was answered, for at most `timeout_us` microseconds. Returns how many were not.
  int64_t wait_until_idle(int64_t timeout_us);

 private:
  struct PendingRead;
  struct PendingWrite;
  struct WaitingCall;
  using DatabaseRef = host::DatabaseRef;
  enum class Route { kNone, kMetadata, kSnapshotRead, kAtomicWrite, kWatch };

  static Route route_of(std::string_view method, std::string_view path);
  void exchange_metadata(const Call& call, Done& done);
  struct ViewExchange;
  // For a view of the past: the moment is looked up, and kept readable, on the read lane.
  void exchange_view(std::shared_ptr<ViewExchange> exchange);
  // A data-path call that was let in, on an open database.
  void handle_admitted(Route route, const Call& call, const host::DataClaims& claims, DatabaseRef database,
                       Done& done);
  // The same on one that is to be opened first.
  void open_and_handle(Route route, const Call& call, const host::DataClaims& claims, Done& done);
  void finish_opening(WaitingCall& waiting, const Result<DatabaseRef>& opened);
  // What the call is to see: nothing is head. kBeyondHorizon, kReadOnly (too many views).
  Result<std::optional<kv::PastView>> view_of(const host::DataClaims& claims, DatabaseRef& database) const;
  void snapshot_read(const Call& call, std::optional<kv::PastView> past, DatabaseRef database, Done& done);
  void finish_read(PendingRead& read);
  void atomic_write(const Call& call, DatabaseRef database, Done& done);
  void watch(const Call& call, const host::DataClaims& claims, std::optional<kv::PastView> past,
             DatabaseRef database, Done& done);
  void finish_write(PendingWrite& write, const CommitOutcome& outcome);

  // What a data-path call may work on: a database that exists, open or not. Otherwise gives the refusal to
  // `done`, and nothing.
  std::optional<host::DataAccess> admit_data_call(const Call& call, Done& done);
  void log_fault(std::string_view what, const host::HostedDatabase& database, const Error& error);

  host::Host& host_;
  const ServiceOptions options_;
  const uint64_t max_read_body_bytes_;
  const uint64_t max_write_body_bytes_;
  InFlight in_flight_;
  struct FaultLog {
    std::atomic<int64_t> next_us{0};  // monotonic
    std::atomic<uint64_t> unsaid{0};
  };
  std::array<FaultLog, 16> fault_logs_;  // by error code
};

}  // namespace tidemark::connect
