// A transaction being run: reads the newest state, and writes straight into the WAL record that its group
// will become, from where they are taken back if it aborts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/format/wal_payload.h"
#include "engine/memtable/memtable.h"
#include "engine/mvcc/version.h"
#include "engine/transaction.h"

namespace tidemark {

class StagedTransaction final : public Transaction {
 public:
  // Appends to `record`. `state` holds the newest state; both must outlive this.
  StagedTransaction(std::string& record, const ReadState& state, Versionstamp stamp, int64_t timestamp_ms);

  Versionstamp versionstamp() const override { return stamp_; }
  int64_t timestamp_ms() const override { return timestamp_ms_; }
  Result<std::optional<Value>> get(std::string_view key) override;
  void put(std::string_view key, std::string_view value) override { stage(WriteKind::kPut, key, value); }
  void erase(std::string_view key) override { stage(WriteKind::kTombstone, key, {}); }

  // Completes the commit in the record: writes that later ones of the same transaction replaced are taken
  // out.
  void seal();
  // Takes everything back out of the record.
  void abandon() { record_.resize(begin_); }
  // Bytes that it takes in the record.
  size_t bytes() const { return record_.size() - begin_; }
  // Puts the writes into the memtable. REQUIRES: sealed.
  void apply_to(Memtable& memtable) const;

 private:
  struct Staged {
    size_t begin;  // of the whole write in the record
    size_t key_begin;
    size_t value_begin;
    uint32_t key_size;
    uint32_t value_size;
    WriteKind kind;
    bool replaced;
  };

  void stage(WriteKind kind, std::string_view key, std::string_view value);
  std::string_view key(const Staged& s) const { return {record_.data() + s.key_begin, s.key_size}; }
  std::string_view value(const Staged& s) const { return {record_.data() + s.value_begin, s.value_size}; }
  // The write to the key that counts so far, or nullptr.
  Staged* find(std::string_view key);
  void index(size_t i);

  std::string& record_;
  const ReadState& state_;
  const size_t begin_;
  const Versionstamp stamp_;
  const int64_t timestamp_ms_;
  std::vector<Staged> writes_;
  bool any_replaced_ = false;
  std::vector<uint32_t> table_;  // open addressing, index + 1; empty while there are few writes
  std::shared_ptr<const void> last_read_;
};

}  // namespace tidemark
