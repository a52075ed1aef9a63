// The watcher is in the hub before it reads for the first time, so no commit falls between the two. due_ is
// cleared before each read: a commit that the read does not see sets it again.
#include "server/kv/watch.h"

#include <utility>

#include "engine/base/mutant.h"

namespace tidemark::kv {
namespace {

// Passes on each key's state and notes its versionstamp.
class StateReader final : public EntrySink {
 public:
  explicit StateReader(WatchSink& sink) : sink_(sink) {}

  void begin_range() override { found_.emplace_back(); }
  void entry(std::string_view key, const StoredValue& value, Versionstamp versionstamp) override {
    found_.back() = versionstamp;
    sink_.entry(key, value, versionstamp);
  }
  void end_range() override {
    if (!found_.back() && !TM_MUTANT("watch.absent")) sink_.absent();
  }

  std::vector<std::optional<Versionstamp>> take() { return std::move(found_); }

 private:
  WatchSink& sink_;
  std::vector<std::optional<Versionstamp>> found_;
};

}  // namespace

Watch::Watch(Store& store, std::vector<std::string> keys, std::function<void()> wake,
             std::optional<PastView> past)
    : store_(store),
      keys_(std::move(keys)),
      wake_(std::move(wake)),
      past_(std::move(past)),
      told_(keys_.size()) {
  if (!past_) store_.watch_hub().add(*this, keys_);
}

Watch::~Watch() {
  if (!past_) store_.watch_hub().remove(*this, keys_);
}

void Watch::changed() {
  if (!due_.exchange(true, std::memory_order_acq_rel)) wake_();
}

Result<bool> Watch::read(const ReadBounds& bounds, WatchSink& sink) {
  // Whoever set it had moved head before: to read it back is to see that head.
  due_.exchange(false, std::memory_order_acq_rel);
  StateReader reader(sink);
  const Status read = store_.read_keys(keys_, bounds, reader, past_ ? &*past_ : nullptr);
  if (TM_MUTANT("watch.newest")) due_.store(false);
  if (!read) {
    due_.store(true, std::memory_order_release);
    return std::unexpected(read.error());
  }
  std::vector<std::optional<Versionstamp>> found = reader.take();
  const bool news = std::exchange(first_, false) || found != told_;
  told_ = std::move(found);
  return news;
}

}  // namespace tidemark::kv
