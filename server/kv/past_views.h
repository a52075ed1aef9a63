// Moments of the past that clients are looking at: each stays readable until its time is up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "engine/database.h"
#include "engine/io/sync.h"
#include "server/kv/moment.h"

namespace tidemark::kv {

// What a read of the past needs.
struct PastView {
  std::shared_ptr<const Snapshot> snapshot;
  int64_t now_ms = 0;  // what has expired by then is absent
};

// Any thread. The database must outlive it and all views.
class PastViews {
 public:
  // So many moments are kept at once; they hold back what retention would drop.
  static constexpr size_t kMax = 64;

  PastViews(Database& database, Clock& clock) : database_(database), clock_(clock) {}

  // The moment, readable for at least `lease_us` from now on. kBeyondHorizon if it cannot be read any more,
  // kReadOnly if there are too many others.
  Result<PastView> lease(const Moment& moment, int64_t lease_us);
  // Lets go of those whose time is up.
  void drop_ended();
  // How many moments are kept.
  size_t count() const;

 private:
  struct Lease {
    std::shared_ptr<const Snapshot> snapshot;
    int64_t until_us = 0;  // monotonic
  };

  Database& database_;
  Clock& clock_;
  mutable Mutex mutex_;
  std::map<Versionstamp, Lease> leases_ TM_GUARDED_BY(mutex_);
};

}  // namespace tidemark::kv
