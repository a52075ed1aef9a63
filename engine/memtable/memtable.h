// The newest versions, in memory: a skip list in the order of entries, and the list of commits in their
// order.
//
// One writer at a time; any number of readers beside it, without locks. A reader finds every entry whose
// insert happened before (in the sense of the memory model) and may or may not find later ones: readers go by
// versionstamps at or below the head, which moves only after the inserts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/random.h"
#include "engine/base/versionstamp.h"
#include "engine/format/block.h"
#include "engine/format/entry_iterator.h"
#include "engine/format/wal_payload.h"
#include "engine/memtable/append_list.h"
#include "engine/memtable/arena.h"

namespace tidemark {

class Memtable {
 public:
  Memtable();
  Memtable(const Memtable&) = delete;

  // Writer. Stamps never fall, and a key is written once under one stamp.
  void begin_commit(Versionstamp stamp, int64_t timestamp_ms);
  void add(WriteKind kind, std::string_view key, std::string_view value);
  // From now on the commit is in the list of commits.
  void end_commit() { end_commit(writes_.size()); }

  struct Found {
    std::string_view value;  // lives as long as the memtable
    Versionstamp stamp;
    bool tombstone;
  };
  // The newest version of the key at or below `at`.
  std::optional<Found> get(std::string_view key, Versionstamp at) const;

  // Lives no longer than the memtable.
  class Iterator;
  // Writes much at once (memtable_loader.h).
  class Loader;

  // Memory held. Any thread.
  size_t bytes() const { return arena_.bytes() + log_bytes_.load(std::memory_order_relaxed); }
  uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
  bool empty() const { return first_stamp_ == Versionstamp::max(); }

  // Counts entries that scans had to pass over here without giving them out. Any thread.
  void note_skipped(uint64_t n) const { skipped_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t skipped() const { return skipped_.load(std::memory_order_relaxed); }

  // For the writer, or for anyone once writing has ended (the memtable is frozen).
  Versionstamp first_stamp() const { return first_stamp_; }
  Versionstamp last_stamp() const { return last_stamp_; }
  int64_t last_timestamp_ms() const { return last_timestamp_ms_; }

  // The WAL file that holds its first commit. Set before it is shared.
  void set_first_wal(uint64_t number) { first_wal_ = number; }
  uint64_t first_wal() const { return first_wal_; }

  struct Write {
    WriteKind kind;
    std::string_view key;
    std::string_view value;
  };
  struct Commit {
    Versionstamp stamp;
    int64_t timestamp_ms;
    uint64_t first_write;  // index of its first write
    uint64_t end_write;    // behind its last
  };
  // Any thread: the commits that have ended, in order. May be beyond the head, as entries are.
  size_t commit_count() const { return commits_.size(); }
  // REQUIRES: index < commit_count().
  const Commit& commit(size_t index) const { return commits_[index]; }
  // REQUIRES: the write is of such a commit.
  Write write(uint64_t index) const;

 private:
  static constexpr int kMaxHeight = 12;

  // Packed: a step of a search should touch one cache line of a node.
  struct Node {
    uint64_t number;  // of the versionstamp
    uint32_t value_size;
    uint16_t key_size;
    uint16_t tail;  // of the versionstamp
    uint8_t height;
    bool tombstone;
    Versionstamp stamp() const { return {number, tail}; }
    // Followed by `height` links, then the key, then the value.
    std::atomic<Node*>* links() const {
      return reinterpret_cast<std::atomic<Node*>*>(reinterpret_cast<char*>(const_cast<Node*>(this)) +
                                                   sizeof(Node));
    }
    Node* next(int level) const { return links()[level].load(std::memory_order_acquire); }
    std::string_view key() const { return {reinterpret_cast<const char*>(links() + height), key_size}; }
    std::string_view value() const {
      return {reinterpret_cast<const char*>(links() + height) + key_size, value_size};
    }
  };

  // With its writes up to there, some of which may be added only now.
  void end_commit(uint64_t end_write);
  Node* new_node(std::string_view key, std::string_view value, int height);
  // Of a new node; the list is at least that high afterwards.
  int choose_height();
  // Makes a node of a commit and puts it behind `previous[level]` on each of its levels, where it then is the
  // previous one.
  Node* insert(Versionstamp stamp, WriteKind kind, std::string_view key, std::string_view value, int height,
               Node** previous);
  // The same as find() into `previous`, given what an earlier find or insert, of something before (key,
  // stamp), left there: the less lies between the two, the faster.
  void find_further(std::string_view key, Versionstamp stamp, Node** previous) const;
  static bool before(const Node* node, std::string_view key, Versionstamp stamp) {
    return compare_entries(node->key(), node->stamp(), key, stamp) < 0;
  }
  // The first node at or after (key, stamp); fills previous[level] with the last node before it, if given.
  Node* find(std::string_view key, Versionstamp stamp, Node** previous) const;
  // The last node before (key, newest version); nullptr if none. With an empty key: the last of all.
  Node* find_before(std::string_view key, Versionstamp stamp) const;
  Node* find_last() const;

  Arena arena_;
  Random random_{0x7469646d};
  Node* const head_;
  std::atomic<int> height_ = 1;
  // Where the last insert went, on all levels: inserts in ascending order need no search.
  std::array<Node*, kMaxHeight> last_previous_;

  uint64_t first_wal_ = 0;
  Versionstamp first_stamp_ = Versionstamp::max();
  Versionstamp last_stamp_;
  int64_t last_timestamp_ms_ = 0;
  Commit current_{};  // begun last
  AppendList<Commit> commits_;
  AppendList<Node*> writes_;
  std::atomic<size_t> log_bytes_ = 0;
  std::atomic<uint64_t> entries_ = 0;
  mutable std::atomic<uint64_t> skipped_ = 0;
};

class Memtable::Iterator final : public EntryIterator {
 public:
  explicit Iterator(const Memtable& table) : table_(table) {}
  bool seek(std::string_view key, Versionstamp stamp) override {
    return set(table_.find(key, stamp, nullptr));
  }
  bool seek_before(std::string_view key) override {
    return set(key.empty() ? table_.find_last() : table_.find_before(key, Versionstamp::max()));
  }
  bool next() override { return set(node_->next(0)); }
  bool prev() override { return set(table_.find_before(node_->key(), node_->stamp())); }
  void note_skipped(uint64_t n) const override { table_.note_skipped(n); }

 private:
  bool set(const Node* node) {
    node_ = node;
    if (node == nullptr) return end();
    key_ = node->key();
    value_ = node->value();
    stamp_ = node->stamp();
    tombstone_ = node->tombstone;
    return valid_ = true;
  }

  const Memtable& table_;
  const Node* node_ = nullptr;
};

}  // namespace tidemark
