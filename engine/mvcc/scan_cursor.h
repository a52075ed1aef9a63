// Walks the keys that are present at one versionstamp, over all sources of a ReadState, in either direction.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/format/entry_iterator.h"
#include "engine/mvcc/version.h"
#include "engine/snapshot.h"

namespace tidemark {

// Told when a scan had to pass over many entries that it could not give out. Any thread; must be quick.
class WadingObserver {
 public:
  virtual ~WadingObserver() = default;
  virtual void on_wading() = 0;
};

class ScanCursor final : public Cursor {
 public:
  ScanCursor(std::shared_ptr<const ReadState> state, Versionstamp at, const ScanRange& range,
             const ReadOptions& options, WadingObserver* observer);
  ~ScanCursor() override;

  Result<bool> next() override;
  std::string_view key() const override { return best_->key(); }
  std::string_view value() const override { return best_->value(); }
  Versionstamp versionstamp() const override { return best_->stamp(); }

 private:
  void add_sources();
  // A source, and where in time this scan reads it.
  struct Source {
    std::unique_ptr<EntryIterator> entries;
    Versionstamp at;
  };

  void add_run(const SortedRun& run, bool history, Versionstamp at);
  Status position();
  Status leave_key();
  Result<bool> settle_on_key();
  bool in_range(std::string_view key) const;
  // Puts one source at the version of the current key that the read sees: true if it has one. Otherwise the
  // source stands beyond the key in the direction of the scan.
  bool find_visible(const Source& source);
  bool step(EntryIterator& source) { return ++steps_, reverse_ ? source.prev() : source.next(); }
  Status check(const EntryIterator& source) const;

  const std::shared_ptr<const ReadState> state_;
  const Versionstamp at_;
  const std::string start_;
  const std::string end_;
  const bool reverse_;
  const ReadOptions options_;

  std::vector<Source> sources_;
  bool positioned_ = false;
  EntryIterator* best_ = nullptr;      // stands on the entry given out
  std::string key_;                    // the current key
  std::vector<const Source*> on_key_;  // sources that stand on the current key, best_ among them
  uint64_t steps_ = 0;
  uint64_t skipped_ = 0;  // keys not given out
  WadingObserver* const observer_;
};

}  // namespace tidemark
