#include "engine/mvcc/snapshot_registry.h"

#include <algorithm>

namespace tidemark {

class SnapshotRegistry::Pin final : public Snapshot {
 public:
  Pin(std::shared_ptr<SnapshotRegistry> registry, Versionstamp at)
      : registry_(std::move(registry)), at_(at) {}
  ~Pin() override { registry_->unpin(at_); }
  Versionstamp versionstamp() const override { return at_; }

 private:
  const std::shared_ptr<SnapshotRegistry> registry_;
  const Versionstamp at_;
};

Result<std::shared_ptr<Snapshot>> SnapshotRegistry::pin(Versionstamp at, Versionstamp last) {
  MutexLock lock(mutex_);
  const bool empty = last == Versionstamp::min();
  if ((at < horizon_ && !empty) || at > last)
    return fail(ErrorCode::kBeyondHorizon, "versionstamp " + at.hex() + " cannot be read; readable are " +
                                               horizon_.hex() + " to " + last.hex());
  pins_.insert(at);
  return std::make_shared<Pin>(shared_from_this(), at);
}

void SnapshotRegistry::unpin(Versionstamp at) {
  MutexLock lock(mutex_);
  pins_.erase(pins_.find(at));
}

Versionstamp SnapshotRegistry::horizon() const {
  MutexLock lock(mutex_);
  return horizon_;
}

Versionstamp SnapshotRegistry::advance(Versionstamp target) {
  MutexLock lock(mutex_);
  if (!pins_.empty()) target = std::min(target, *pins_.begin());
  horizon_ = std::max(horizon_, target);
  return horizon_;
}

void SnapshotRegistry::begin_at(Versionstamp horizon) {
  MutexLock lock(mutex_);
  horizon_ = std::max(horizon_, horizon);
}

}  // namespace tidemark
