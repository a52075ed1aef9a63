#include "server/kv/changed_keys.h"

#include <algorithm>

namespace tidemark::kv {

void ChangedKeys::sort() {
  const auto less = [this](const Key& a, const Key& b) { return view(a) < view(b); };
  const auto same = [this](const Key& a, const Key& b) { return view(a) == view(b); };
  if (!std::ranges::is_sorted(keys_, less)) std::ranges::sort(keys_, less);
  const auto rest = std::ranges::unique(keys_, same);
  keys_.erase(rest.begin(), rest.end());
}

void ChangedKeys::add(std::string_view key) {
  if (!range_.contains(key) || (!last_round_ && key >= round_end_)) return;
  // The same key again and again is the usual case of many writes.
  if (!keys_.empty() && view(keys_.back()) == key) return;
  keys_.push_back({bytes_.size(), static_cast<uint32_t>(key.size())});
  bytes_ += key;
  if (bytes() <= memory_bytes_) return;
  sort();
  size_t kept = keys_.size();
  size_t kept_bytes = 0;
  for (const Key& one : keys_) kept_bytes += one.size + sizeof(Key);
  if (kept_bytes > memory_bytes_ / 2 && kept > 1) {
    kept /= 2;
    round_end_ = view(keys_[kept]);
    last_round_ = false;
  }
  std::string bytes;
  for (size_t i = 0; i < kept; ++i) {
    const uint64_t offset = bytes.size();
    bytes += view(keys_[i]);
    keys_[i].offset = offset;
  }
  keys_.resize(kept);
  bytes_ = std::move(bytes);
}

Status ChangedKeys::read_round() {
  struct Collector final : HistoryVisitor {
    explicit Collector(ChangedKeys& to) : keys(to) {}
    bool on_commit(const CommitPoint&, uint32_t) override { return true; }
    void on_write(std::string_view key, bool) override { keys.add(key); }
    ChangedKeys& keys;
  } collector(*this);
  bytes_.clear();
  keys_.clear();
  at_ = 0;
  last_round_ = true;
  TM_TRY(database_.visit_history(from_, to_, collector));
  if (more_) TM_TRY(more_([this](std::string_view key) { add(key); }));
  sort();
  range_.start = round_end_;
  return {};
}

Result<bool> ChangedKeys::next() {
  while (at_ == keys_.size()) {
    if (last_round_) return false;
    TM_TRY(read_round());
  }
  ++at_;
  return true;
}

}  // namespace tidemark::kv
