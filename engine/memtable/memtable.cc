#include "engine/memtable/memtable.h"

#include <cstring>
#include <new>

#include "engine/base/check.h"

// A skip list with a branching factor of four. A node is one piece of memory: links, key and value together,
// so that a step of a search touches one place. Links are published with release stores, bottom level first.

namespace tidemark {

Memtable::Memtable() : head_(new_node({}, {}, kMaxHeight)) {
  last_previous_.fill(head_);
}

Memtable::Node* Memtable::new_node(std::string_view key, std::string_view value, int height) {
  const size_t size =
      sizeof(Node) + static_cast<size_t>(height) * sizeof(std::atomic<Node*>) + key.size() + value.size();
  char* memory = arena_.allocate(size);
  Node* node = new (memory) Node;
  node->key_size = static_cast<uint16_t>(key.size());
  node->value_size = static_cast<uint32_t>(value.size());
  node->height = static_cast<uint8_t>(height);
  for (int i = 0; i < height; ++i) new (node->links() + i) std::atomic<Node*>(nullptr);
  char* bytes = reinterpret_cast<char*>(node->links() + height);
  if (!key.empty()) std::memcpy(bytes, key.data(), key.size());
  if (!value.empty()) std::memcpy(bytes + key.size(), value.data(), value.size());
  return node;
}

Memtable::Node* Memtable::find(std::string_view key, Versionstamp stamp, Node** previous) const {
  Node* node = head_;
  Node* not_before = nullptr;  // already known not to lie before the target: no need to compare again
  for (int level = height_.load(std::memory_order_relaxed) - 1;; --level) {
    Node* next = node->next(level);
    while (next != nullptr && next != not_before) {
      Node* const after = next->next(level);
      __builtin_prefetch(after);
      if (!before(next, key, stamp)) break;
      node = next;
      next = after;
    }
    not_before = next;
    if (previous != nullptr) previous[level] = node;
    if (level == 0) return next;
  }
}

Memtable::Node* Memtable::find_before(std::string_view key, Versionstamp stamp) const {
  Node* node = head_;
  for (int level = height_.load(std::memory_order_relaxed) - 1; level >= 0; --level) {
    for (Node* next = node->next(level); next != nullptr && before(next, key, stamp);
         next = node->next(level))
      node = next;
  }
  return node == head_ ? nullptr : node;
}

Memtable::Node* Memtable::find_last() const {
  Node* node = head_;
  for (int level = height_.load(std::memory_order_relaxed) - 1; level >= 0; --level)
    for (Node* next = node->next(level); next != nullptr; next = node->next(level)) node = next;
  return node == head_ ? nullptr : node;
}

void Memtable::begin_commit(Versionstamp stamp, int64_t timestamp_ms) {
  TM_CHECK(stamp > last_stamp_ && timestamp_ms >= last_timestamp_ms_);
  if (empty()) first_stamp_ = stamp;
  last_stamp_ = stamp;
  last_timestamp_ms_ = timestamp_ms;
  current_ = {stamp, timestamp_ms, writes_.size(), writes_.size()};
}

void Memtable::end_commit(uint64_t end_write) {
  current_.end_write = end_write;
  commits_.append(current_);
  log_bytes_.store(commits_.bytes() + writes_.bytes(), std::memory_order_relaxed);
}

int Memtable::choose_height() {
  int height = 1;
  while (height < kMaxHeight && (random_.next() & 3) == 0) ++height;
  // Readers that see a new height early find null links of the head.
  if (height > height_.load(std::memory_order_relaxed)) height_.store(height, std::memory_order_relaxed);
  return height;
}

Memtable::Node* Memtable::insert(Versionstamp stamp, WriteKind kind, std::string_view key,
                                 std::string_view value, int height, Node** previous) {
  Node* const node = new_node(key, value, height);
  node->number = stamp.number;
  node->tail = stamp.tail;
  node->tombstone = kind == WriteKind::kTombstone;
  for (int i = 0; i < height; ++i) {
    node->links()[i].store(previous[i]->next(i), std::memory_order_relaxed);
    previous[i]->links()[i].store(node, std::memory_order_release);
    previous[i] = node;
  }
  return node;
}

void Memtable::add(WriteKind kind, std::string_view key, std::string_view value) {
  const int height = choose_height();
  // Most loads and all queues append: try right behind the last insert first. On levels above the height that
  // the list had then, the head is the previous one.
  Node** const previous = last_previous_.data();
  Node* const last = previous[0];
  Node* const after = last->next(0);
  const bool in_place = last != head_ && before(last, key, last_stamp_) &&
                        (after == nullptr || !before(after, key, last_stamp_));
  if (!in_place) find(key, last_stamp_, previous);
  writes_.append(insert(last_stamp_, kind, key, value, height, previous));
  entries_.store(writes_.size(), std::memory_order_relaxed);
}

void Memtable::find_further(std::string_view key, Versionstamp stamp, Node** previous) const {
  const auto lies_further = [&](int level) {
    const Node* const next = previous[level]->next(level);
    return next != nullptr && before(next, key, stamp);
  };
  // Up to the first level that need not be walked, then down again, walking.
  const int height = height_.load(std::memory_order_relaxed);
  int level = 0;
  while (level < height && lies_further(level)) ++level;
  for (Node* node = nullptr; level-- > 0; previous[level] = node) {
    if (node == nullptr) node = previous[level];
    for (Node* next = node->next(level); next != nullptr && before(next, key, stamp);
         next = node->next(level))
      node = next;
  }
}

std::optional<Memtable::Found> Memtable::get(std::string_view key, Versionstamp at) const {
  const Node* node = find(key, at, nullptr);
  if (node == nullptr || node->key() != key) return std::nullopt;
  return Found{node->value(), node->stamp(), node->tombstone};
}

Memtable::Write Memtable::write(uint64_t index) const {
  const Node* node = writes_[index];
  return {node->tombstone ? WriteKind::kTombstone : WriteKind::kPut, node->key(), node->value()};
}

}  // namespace tidemark
