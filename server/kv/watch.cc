// The watcher is in the hub before it reads for the first time, so no commit falls between the two. due_ is cleared
// before each read: a commit that the read does not see sets it again.
#include "server/kv/watch.h"

#include <utility>

namespace tidemark::kv {
namespace {

// Notes each key's versionstamp, and passes on what differs from before.
class Comparer final : public EntrySink {
 public:
  Comparer(const std::vector<std::optional<Versionstamp>>& told, bool first, WatchSink& sink)
      : told_(told), first_(first), sink_(sink) {}

  void begin_range() override { found_.emplace_back(); }
  void entry(std::string_view key, const StoredValue& value, Versionstamp versionstamp) override {
    found_.back() = versionstamp;
    if (changed()) sink_.entry(key, value, versionstamp);
  }
  void end_range() override {
    if (!changed()) {
      sink_.unchanged();
      return;
    }
    any_ = true;
    if (!found_.back()) sink_.absent();
  }

  bool any() const { return any_; }
  std::vector<std::optional<Versionstamp>> take() { return std::move(found_); }

 private:
  bool changed() const { return first_ || found_.back() != told_[found_.size() - 1]; }

  const std::vector<std::optional<Versionstamp>>& told_;
  const bool first_;
  WatchSink& sink_;
  std::vector<std::optional<Versionstamp>> found_;
  bool any_ = false;
};

}  // namespace

Watch::Watch(Store& store, std::vector<std::string> keys, std::function<void()> wake)
    : store_(store), keys_(std::move(keys)), wake_(std::move(wake)), told_(keys_.size()) {
  store_.watch_hub().add(*this, keys_);
}

Watch::~Watch() {
  store_.watch_hub().remove(*this, keys_);
}

void Watch::changed() {
  if (!due_.exchange(true, std::memory_order_acq_rel)) wake_();
}

Result<bool> Watch::read(const ReadBounds& bounds, WatchSink& sink) {
  // Whoever set it had moved head before: to read it back is to see that head.
  due_.exchange(false, std::memory_order_acq_rel);
  Comparer comparer(told_, first_, sink);
  const Status read = store_.read_keys(keys_, bounds, comparer);
  if (!read) {
    due_.store(true, std::memory_order_release);
    return std::unexpected(read.error());
  }
  told_ = comparer.take();
  return std::exchange(first_, false) || comparer.any();
}

}  // namespace tidemark::kv
