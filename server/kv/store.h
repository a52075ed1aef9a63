// One Deno KV database on one engine database: what the three calls of KV Connect do, without the wire.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "server/kv/expiry.h"
#include "server/kv/past_views.h"
#include "server/kv/request.h"
#include "server/kv/request_limits.h"
#include "server/kv/stored_value.h"
#include "server/kv/watch_hub.h"
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

class Store;

// An atomic write under way. The owner derives from it, says in answer() where the outcome goes, and keeps it
// alive until then.
class WriteRequest : public CommitRequest {
 public:
  explicit WriteRequest(WritePlan plan) : plan_(std::move(plan)) {}
  Result<Decision> run(Transaction& transaction) final { return plan_.run(transaction, failed_checks_); }
  void done(const CommitOutcome& outcome) final;
  // In answer(), for a write that succeeded but did not commit: the indexes of the checks that failed.
  const std::vector<uint32_t>& failed_checks() const { return failed_checks_; }

 protected:
  // As CommitRequest::done(). kInvalidArgument: a rule that depends on what is stored was broken; the message
  // is meant for the client.
  virtual void answer(const CommitOutcome& outcome) = 0;

 private:
  friend class Store;
  Store* store_ = nullptr;
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

  // Reads all ranges from one consistent version: head, or the one that `past` names. Entries that have
  // expired are absent. REQUIRES: check_ranges(ranges) succeeded. Errors: kWouldBlock, kCorruption,
  // kNewerFormat, kIo.
  Status read(std::span<const ReadRange> ranges, const ReadBounds& bounds, EntrySink& sink,
              const PastView* past = nullptr) const;

  // Each key as a range of its own, in their order; an absent one is an empty range.
  Status read_keys(std::span<const std::string> keys, const ReadBounds& bounds, EntrySink& sink,
                   const PastView* past = nullptr) const;

  Result<WritePlan> plan(const AtomicWrite& write) const {
    return WritePlan::prepare(write, limits_, clock_.wall_us() / 1000);
  }
  // Queues the write; answer() of the request tells the outcome. Never blocks on I/O.
  void submit(WriteRequest& request) {
    request.store_ = this;
    database_.submit(request);
  }

  Database& database() { return database_; }
  PastViews& past_views() { return past_views_; }
  Clock& clock() { return clock_; }
  // Something that went past this store has changed many keys, which expire from `earliest_expiry_ms` on (0:
  // never), and is head now.
  void changed_widely(int64_t earliest_expiry_ms);

  WatchHub& watch_hub() { return watch_hub_; }
  // Deletes what has expired once it is polled.
  ExpirySweeper& expiry() { return expiry_; }
  const ExpirySweeper& expiry() const { return expiry_; }

 private:
  friend class WriteRequest;
  int64_t now_ms() const;
  std::unique_ptr<ReadView> view(const PastView* past) const {
    return past != nullptr ? database_.read(*past->snapshot) : database_.read();
  }
  void committed(const WritePlan& plan);

  Clock& clock_;
  Database& database_;
  Limits limits_;
  mutable std::atomic<int64_t> last_now_ms_{0};
  WatchHub watch_hub_;
  ExpirySweeper expiry_;
  PastViews past_views_;
};

}  // namespace tidemark::kv
