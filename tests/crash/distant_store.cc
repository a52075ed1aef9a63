#include "tests/crash/distant_store.h"

#include <utility>

namespace tidemark::crash {
namespace {

constexpr uint64_t kUsualUs = 3000;
constexpr uint64_t kSlowUs = 200'000;
constexpr uint64_t kVeryLateUs = 5'000'000;

}  // namespace

void DistantStore::pass_some_time() {
  Random& random = scheduler_.random();
  scheduler_.sleep_us(static_cast<int64_t>(random.below(random.one_in(20) ? kSlowUs : kUsualUs)));
}

DistantStore::Fate DistantStore::begin(const std::string& what) {
  if (off_) return Fate::kRefused;
  pass_some_time();
  if (!off_ && hook_) hook_(++number_, what);
  Random& random = scheduler_.random();
  // It had been sent.
  if (off_) return random.one_in(2) ? Fate::kUnheard : Fate::kRefused;
  if (faults_ == 0 || !random.one_in(faults_)) return Fate::kDone;
  ++faults_met_;
  return static_cast<Fate>(1 + random.below(4));
}

template <class T>
Result<T> DistantStore::end(const std::string& what, Fate fate, Result<T> answer) {
  if (off_) return unreachable(what);
  if (hook_) hook_(++number_, what + ", done");
  pass_some_time();
  if (off_ || fate != Fate::kDone) return unreachable(what);
  return answer;
}

Result<std::string> DistantStore::put(std::string_view key, std::string_view bytes,
                                      const backup::PutCondition& condition) {
  const std::string what = "put " + std::string(key);
  const Fate fate = begin(what);
  if (fate == Fate::kRefused) return unreachable(what);
  const bool whole = objects_.knows_conditions || key.ends_with(".json");
  if (fate == Fate::kLate && objects_.knows_conditions) {
    scheduler_.spawn([this, key = std::string(key), bytes = std::string(bytes), condition] {
      scheduler_.sleep_us(static_cast<int64_t>(scheduler_.random().below(kVeryLateUs)));
      (void)objects_.put(key, bytes, condition).has_value();
    });
    return unreachable(what);
  }
  // Cut off on its way, by a simple store, which keeps what it got.
  if (fate == Fate::kHalf && !whole)
    return end(what, fate, objects_.put(key, bytes.substr(0, bytes.size() / 2), condition));
  return end(what, fate, objects_.put(key, bytes, condition));
}

Result<std::optional<backup::Object>> DistantStore::get_if_changed(std::string_view key,
                                                                   std::string_view known_tag,
                                                                   uint64_t max_bytes) {
  const std::string what = "get " + std::string(key);
  if (begin(what) != Fate::kDone) return unreachable(what);
  return end(what, Fate::kDone, objects_.get_if_changed(key, known_tag, max_bytes));
}

Result<backup::ObjectPage> DistantStore::list(std::string_view prefix, std::string_view start_after,
                                              int max_keys) {
  const std::string what = "list " + std::string(prefix);
  if (begin(what) != Fate::kDone) return unreachable(what);
  return end(what, Fate::kDone, objects_.list(prefix, start_after, max_keys));
}

Result<std::vector<std::string>> DistantStore::list_folders(std::string_view prefix) {
  const std::string what = "list " + std::string(prefix);
  if (begin(what) != Fate::kDone) return unreachable(what);
  return end(what, Fate::kDone, objects_.list_folders(prefix));
}

Status DistantStore::remove(std::string_view key) {
  const std::string what = "remove " + std::string(key);
  const Fate fate = begin(what);
  if (fate == Fate::kRefused || fate == Fate::kLate) return unreachable(what);
  return end(what, fate == Fate::kHalf ? Fate::kUnheard : fate, objects_.remove(key));
}

}  // namespace tidemark::crash
