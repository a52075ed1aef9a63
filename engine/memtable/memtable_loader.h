// Puts many commits into a memtable at once, for recovery.
#pragma once

#include <string_view>
#include <vector>

#include "engine/memtable/memtable.h"

namespace tidemark {

// Gathers writes, and adds them sorted by key: most of what a skip list costs is searching memory for the
// place of a random key. The one writer of its memtable while it lives.
class Memtable::Loader {
 public:
  explicit Loader(Memtable& memtable) : memtable_(memtable) {}
  Loader(const Loader&) = delete;

  // As the memtable's own; key and value must live until flush(). Until then no reader finds them. A commit
  // ends when the next one begins, or with flush(). Errors: those of flush().
  void begin_commit(Versionstamp stamp, int64_t timestamp_ms) {
    end_commit();
    memtable_.begin_commit(stamp, timestamp_ms);
    memtable_.current_.first_write += pending_.size();
    open_ = true;
  }
  Status add(WriteKind kind, std::string_view key, std::string_view value) {
    pending_.push_back({key, value, memtable_.last_stamp_, kind});
    return pending_.size() >= kBatch ? add_pending() : Status();
  }
  // kCorruption (no file in the message) if a commit has written a key twice: which counts would be left to
  // chance. The memtable is of no use then.
  Status flush() {
    end_commit();
    return add_pending();
  }

 private:
  static constexpr size_t kBatch = size_t{1} << 18;

  struct Pending {
    std::string_view key;
    std::string_view value;
    Versionstamp stamp;
    WriteKind kind;
  };

  // Its writes may be pending still.
  void end_commit();
  Status add_pending();

  Memtable& memtable_;
  std::vector<Pending> pending_;
  bool open_ = false;  // a commit has begun and not ended
};

}  // namespace tidemark
