#include "server/backup/retrying_object_store.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "engine/base/random.h"
#include "engine/io/sync.h"

namespace tidemark::backup {
namespace {

constexpr int64_t kSliceUs = 20'000;  // how long cancel() may go unnoticed in a pause

template <class T>
bool is_unavailable(const Result<T>& result) {
  return !result && result.error().code == ErrorCode::kUnavailable;
}

class RetryingObjectStore final : public ObjectStore {
 public:
  RetryingObjectStore(std::unique_ptr<ObjectStore> inner, Clock& clock, const RetryOptions& options,
                      LogSink log)
      : inner_(std::move(inner)),
        clock_(clock),
        options_(options),
        log_(std::move(log)),
        random_(options.seed) {}

  Result<std::string> put(std::string_view key, std::string_view bytes,
                          const PutCondition& condition) override {
    bool may_have_happened = false;
    Result<std::string> result = repeat([&] {
      Result<std::string> once = inner_->put(key, bytes, condition);
      may_have_happened |= is_unavailable(once);
      return once;
    });
    if (result || result.error().code != ErrorCode::kConflict || !may_have_happened) return result;
    return own_or_conflict(key, bytes, std::move(result).error());
  }

  Result<std::optional<Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                               uint64_t max_bytes) override {
    return repeat([&] { return inner_->get_if_changed(key, known_tag, max_bytes); });
  }
  Result<ObjectPage> list(std::string_view prefix, std::string_view start_after, int max_keys) override {
    return repeat([&] { return inner_->list(prefix, start_after, max_keys); });
  }
  Result<std::vector<std::string>> list_folders(std::string_view prefix) override {
    return repeat([&] { return inner_->list_folders(prefix); });
  }
  Status remove(std::string_view key) override {
    return repeat([&] { return inner_->remove(key); });
  }

  void cancel() override {
    cancelled_.store(true, std::memory_order_relaxed);
    inner_->cancel();
  }
  std::string describe() const override { return inner_->describe(); }

 private:
  // The condition does not hold, maybe because an earlier try has changed the object: then it has our bytes.
  Result<std::string> own_or_conflict(std::string_view key, std::string_view bytes, Error conflict) {
    auto object = get_if_changed(key, {}, bytes.size());
    if (object && *object && (*object)->bytes == bytes) return std::move((*object)->tag);
    // Gone, or larger than what was put.
    const bool differs = object || object.error().code == ErrorCode::kNotFound ||
                         object.error().code == ErrorCode::kInvalidArgument;
    if (!differs) return std::unexpected(std::move(object).error());
    return std::unexpected(std::move(conflict));
  }

  template <class Operation>
  auto repeat(Operation operation) -> decltype(operation()) {
    for (int tries = 1;; ++tries) {
      auto result = operation();
      if (!is_unavailable(result)) return result;
      std::string& message = result.error().message;
      if (tries >= options_.tries_max) {
        if (tries > 1) message += " (tried " + std::to_string(tries) + " times)";
        return result;
      }
      const int64_t pause = pause_us(tries);
      if (log_) log_(LogLevel::kDebug, message + "; trying again in " + std::to_string(pause / 1000) + " ms");
      if (!sleep(pause)) return fail(ErrorCode::kShutdown, message + "; cancelled");
    }
  }

  int64_t pause_us(int tries) {
    int64_t ms = std::max<int64_t>(options_.pause_first_ms, 1);
    for (int i = 1; i < tries && ms < options_.pause_max_ms; ++i) ms *= 2;
    const int64_t us = std::min(ms, std::max<int64_t>(options_.pause_max_ms, 1)) * 1000;
    MutexLock lock(mutex_);
    return us - static_cast<int64_t>(random_.below(static_cast<uint64_t>(us / 2) + 1));
  }

  // False if it was cancelled.
  bool sleep(int64_t us) {
    for (; us > 0 && !cancelled_.load(std::memory_order_relaxed); us -= kSliceUs)
      clock_.sleep_us(std::min(us, kSliceUs));
    return !cancelled_.load(std::memory_order_relaxed);
  }

  const std::unique_ptr<ObjectStore> inner_;
  Clock& clock_;
  const RetryOptions options_;
  const LogSink log_;
  std::atomic<bool> cancelled_ = false;
  Mutex mutex_;
  Random random_ TM_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<ObjectStore> make_retrying_object_store(std::unique_ptr<ObjectStore> inner, Clock& clock,
                                                        const RetryOptions& options, LogSink log) {
  return std::make_unique<RetryingObjectStore>(std::move(inner), clock, options, std::move(log));
}

}  // namespace tidemark::backup
