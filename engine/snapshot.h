// Reading one consistent version of everything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"

namespace tidemark {

struct ReadOptions {
  // Fail with kWouldBlock rather than read the disk.
  bool memory_only = false;
  // Fail with kWouldBlock after this many entries were looked at, hidden ones included. 0: no limit.
  uint64_t max_steps = 0;
  // For scans of much that is read once: files are read in large pieces, and the block cache is left to those
  // who read again. Not with memory_only.
  bool once_through = false;
};

// Keeps the bytes of one value alive. Movable; may outlive the view it came from, not the database.
class PinnedValue {
 public:
  PinnedValue() = default;
  PinnedValue(std::string_view bytes, Versionstamp stamp, std::shared_ptr<const void> owner)
      : bytes_(bytes), stamp_(stamp), owner_(std::move(owner)) {}
  std::string_view bytes() const { return bytes_; }
  Versionstamp versionstamp() const { return stamp_; }

 private:
  std::string_view bytes_;
  Versionstamp stamp_;
  std::shared_ptr<const void> owner_;
};

struct ScanRange {
  std::string_view start;  // inclusive; copied
  std::string_view end;    // exclusive; copied; empty means: no upper bound
  bool reverse = false;    // from the last key down
};

// Walks the keys that are present at one versionstamp. One thread at a time. Holds what it needs of the
// store: do not keep one for minutes.
class Cursor {
 public:
  virtual ~Cursor() = default;
  // Moves to the first, later to the next key. False at the end. After an error the cursor stays unusable.
  virtual Result<bool> next() = 0;
  // REQUIRES: the last next() gave true. Views are valid until the next call of next().
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Versionstamp versionstamp() const = 0;
};

// One consistent version of a database. Cheap to take (no lock that a writer holds during I/O) and meant to
// be short-lived: it keeps the memtables and files of its moment. Use from one thread at a time.
class ReadView {
 public:
  virtual ~ReadView() = default;

  virtual Versionstamp versionstamp() const = 0;
  virtual Result<std::optional<PinnedValue>> get(std::string_view key,
                                                 const ReadOptions& options = {}) const = 0;
  // An empty or inverted range gives no entries. The cursor may outlive the view, not the database.
  virtual std::unique_ptr<Cursor> scan(const ScanRange& range, const ReadOptions& options = {}) const = 0;
};

// Holds a moment of the past readable: nothing that it sees is dropped while it lives. May live long; open a
// ReadView from it for each piece of work. Any thread. Must not outlive its database.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual Versionstamp versionstamp() const = 0;
};

}  // namespace tidemark
