// One Deno KV database on one engine database: what the three calls of KV Connect do, without the wire.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "server/kv/request.h"
#include "server/kv/request_limits.h"
#include "server/kv/stored_value.h"
#include "server/kv/write_plan.h"

namespace tidemark::kv {

// Takes the entries of a read as they are found. Views are valid during the call only.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  virtual void begin_range() = 0;
  virtual void entry(std::string_view key, const StoredValue& value, Versionstamp versionstamp) = 0;
  virtual void end_range() = 0;
};

// How much a read may do on the calling thread. Beyond it the read fails with kWouldBlock, and what the sink
// got is to be thrown away.
struct ReadBounds {
  bool memory_only = false;
  uint64_t max_steps = 0;  // entries looked at in each range; 0: no bound
  uint64_t max_bytes = 0;  // of keys and values found; 0: no bound
};

// An atomic write under way. The owner derives from it, says in done() where the outcome goes, and keeps it
// alive until then.
class WriteRequest : public CommitRequest {
 public:
  explicit WriteRequest(WritePlan plan) : plan_(std::move(plan)) {}
  Result<Decision> run(Transaction& transaction) final { return plan_.run(transaction, failed_checks_); }
  // In done(), for a write that succeeded but did not commit: the indexes of the checks that failed.
  const std::vector<uint32_t>& failed_checks() const { return failed_checks_; }

 private:
  WritePlan plan_;
  std::vector<uint32_t> failed_checks_;
};

// Any thread. Must not outlive the database and the engine.
class Store {
 public:
  Store(Engine& engine, Database& database, const Limits& limits);

  const Limits& limits() const { return limits_; }

  // kInvalidArgument with a text for the client if the ranges break a rule or a limit.
  Status check_ranges(std::span<const ReadRange> ranges) const;

  // Reads all ranges from one consistent version: head. Entries that have expired are absent.
  // REQUIRES: check_ranges(ranges) succeeded. Errors: kWouldBlock, kCorruption, kNewerFormat, kIo.
  Status read(std::span<const ReadRange> ranges, const ReadBounds& bounds, EntrySink& sink) const;

  Result<WritePlan> plan(const AtomicWrite& write) const { return WritePlan::prepare(write, limits_); }
  // Queues the write; done() of the request tells the outcome. Never blocks on I/O.
  void submit(WriteRequest& request) { database_.submit(request); }

 private:
  int64_t now_ms() const;

  Clock& clock_;
  Database& database_;
  Limits limits_;
  mutable std::atomic<int64_t> last_now_ms_{0};
};

}  // namespace tidemark::kv
