#include "server/kv/past_views.h"

#include <algorithm>

namespace tidemark::kv {

Result<PastView> PastViews::lease(const Moment& moment, int64_t lease_us) {
  const int64_t now_us = clock_.monotonic_us();
  MutexLock lock(mutex_);
  const auto place = leases_.find(moment.stamp);
  if (place != leases_.end()) {
    place->second.until_us = std::max(place->second.until_us, now_us + lease_us);
    return PastView{place->second.snapshot, moment.now_ms};
  }
  std::erase_if(leases_, [&](const auto& one) { return one.second.until_us <= now_us; });
  if (leases_.size() >= kMax)
    return fail(ErrorCode::kReadOnly,
                std::to_string(kMax) +
                    " moments of this database are being looked at, and no more can be; "
                    "one is free some minutes after its last use");
  TM_ASSIGN(std::shared_ptr<const Snapshot> snapshot, database_.pin(moment.stamp));
  leases_[moment.stamp] = {snapshot, now_us + lease_us};
  return PastView{std::move(snapshot), moment.now_ms};
}

void PastViews::drop_ended() {
  const int64_t now_us = clock_.monotonic_us();
  MutexLock lock(mutex_);
  std::erase_if(leases_, [&](const auto& one) { return one.second.until_us <= now_us; });
}

size_t PastViews::count() const {
  MutexLock lock(mutex_);
  return leases_.size();
}

}  // namespace tidemark::kv
