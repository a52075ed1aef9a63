// One client's watch over some keys: what it was told last, and what is news to it.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/mutant.h"
#include "server/kv/store.h"

namespace tidemark::kv {

// Takes one message of a watch: each of its keys, in their order, changed or not. Views are valid during the
// call only.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void absent() = 0;
  virtual void entry(std::string_view key, const StoredValue& value, Versionstamp versionstamp) = 0;
};

// Made, used and destroyed on any thread, by one at a time. Must not outlive its store.
class Watch final : WatchHub::Watcher {
 public:
  // `wake` is called, on any thread, whenever there may be news after there was none; it must be short.
  // `past`: of that moment, in which nothing changes any more. REQUIRES: no key is longer than a read allows.
  Watch(Store& store, std::vector<std::string> keys, std::function<void()> wake,
        std::optional<PastView> past = {});
  ~Watch() override;
  Watch(const Watch&) = delete;

  // Whether read() should be called: at first, and after each wake.
  bool due() const { return due_.load(std::memory_order_acquire); }
  // Reads all keys from one version of the database. True if something has changed since the last message:
  // then the sink has got the next one. False: what it got is to be thrown away. So states that nobody asked
  // for are skipped. After an error (as Store::read) it is due again.
  Result<bool> read(const ReadBounds& bounds, WatchSink& sink);

 private:
  void changed() override;

  Store& store_;
  const std::vector<std::string> keys_;
  const std::function<void()> wake_;
  const std::optional<PastView> past_;
  std::atomic<bool> due_{true};
  bool first_ = !TM_MUTANT("watch.first-state");
  std::vector<std::optional<Versionstamp>> told_;  // by key; nothing: absent
};

}  // namespace tidemark::kv
