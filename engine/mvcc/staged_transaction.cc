#include "engine/mvcc/staged_transaction.h"

#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "engine/mvcc/point_read.h"

namespace tidemark {
namespace {

constexpr size_t kIndexFrom = 8;  // up to here a linear look is faster than a table
constexpr size_t kMaxKeyBytes = UINT16_MAX;

}  // namespace

StagedTransaction::StagedTransaction(std::string& record, const ReadState& state, Versionstamp stamp,
                                     int64_t timestamp_ms)
    : record_(record), state_(state), begin_(record.size()), stamp_(stamp), timestamp_ms_(timestamp_ms) {
  record_.resize(begin_ + kWalCommitHeaderBytes);
}

Result<std::optional<Transaction::Value>> StagedTransaction::get(std::string_view key) {
  if (const Staged* own = find(key)) {
    if (own->kind == WriteKind::kTombstone) return std::nullopt;
    // A copy: a later write may move the record.
    auto copy = std::make_shared<std::string>(value(*own));
    const std::string_view bytes = *copy;
    last_read_ = std::move(copy);
    return Value{bytes, stamp_};
  }
  TM_ASSIGN(auto found, read_point(state_, key, Versionstamp::max(), {}));
  if (!found) return std::nullopt;
  last_read_ = std::move(found->block);
  return Value{found->value, found->stamp};
}

StagedTransaction::Staged* StagedTransaction::find(std::string_view key) {
  if (table_.empty()) {
    for (Staged& s : writes_)
      if (!s.replaced && this->key(s) == key) return &s;
    return nullptr;
  }
  const size_t mask = table_.size() - 1;
  for (size_t i = xxh3(key) & mask; table_[i] != 0; i = (i + 1) & mask) {
    Staged& s = writes_[table_[i] - 1];
    if (!s.replaced && this->key(s) == key) return &s;
  }
  return nullptr;
}

void StagedTransaction::index(size_t i) {
  const size_t mask = table_.size() - 1;
  size_t place = xxh3(key(writes_[i])) & mask;
  while (table_[place] != 0) place = (place + 1) & mask;
  table_[place] = static_cast<uint32_t>(i + 1);
}

void StagedTransaction::stage(WriteKind kind, std::string_view key, std::string_view value) {
  TM_CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  if (Staged* earlier = find(key)) {
    earlier->replaced = true;
    any_replaced_ = true;
  }
  Staged s;
  s.begin = record_.size();
  put_wal_write(record_, kind, key, value);
  s.value_size = static_cast<uint32_t>(value.size());
  s.value_begin = record_.size() - value.size();
  s.key_size = static_cast<uint32_t>(key.size());
  s.key_begin =
      kind == WriteKind::kPut ? s.begin + 1 + varint_bytes(key.size()) : record_.size() - key.size();
  s.kind = kind;
  s.replaced = false;
  writes_.push_back(s);
  if (writes_.size() <= kIndexFrom) return;
  if (table_.size() < 2 * writes_.size()) {
    table_.assign(std::bit_ceil(4 * writes_.size()), 0);
    for (size_t i = 0; i < writes_.size(); ++i) index(i);
  } else {
    index(writes_.size() - 1);
  }
}

void StagedTransaction::seal() {
  if (any_replaced_) {
    size_t to = begin_ + kWalCommitHeaderBytes;
    std::vector<Staged> kept;
    for (size_t i = 0; i < writes_.size(); ++i) {
      Staged s = writes_[i];
      if (s.replaced) continue;
      const size_t end = i + 1 < writes_.size() ? writes_[i + 1].begin : record_.size();
      std::memmove(record_.data() + to, record_.data() + s.begin, end - s.begin);
      const size_t back = s.begin - to;
      s.begin -= back;
      s.key_begin -= back;
      s.value_begin -= back;
      to += end - (s.begin + back);
      kept.push_back(s);
    }
    record_.resize(to);
    writes_ = std::move(kept);
  }
  store_wal_commit(record_.data() + begin_, stamp_, timestamp_ms_, static_cast<uint32_t>(writes_.size()));
}

void StagedTransaction::apply_to(Memtable& memtable) const {
  memtable.begin_commit(stamp_, timestamp_ms_);
  for (const Staged& s : writes_)
    memtable.add(s.kind, key(s), s.kind == WriteKind::kPut ? value(s) : std::string_view());
  memtable.end_commit();
}

}  // namespace tidemark
