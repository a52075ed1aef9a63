// Change files are in commit order and segments in key order. Both are cut down to a few bytes for each write
// and each version, sorted by the hash of the key, and looked at key by key: from the newest versionstamp to
// the oldest, each write must have its version, and the version must last until the next write. What does not
// fit in memory at once is done in parts, each taking the keys of some hashes. Keys are told apart by 96 bits
// of hash.
#include "engine/verify/cross_check.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "engine/base/hash.h"
#include "engine/verify/change_scan.h"
#include "engine/verify/segment_scan.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kCheckSeed = 0x74696465;
constexpr size_t kMaxProblems = 1000;
constexpr uint64_t kBytesOfAWrite = 8;  // in a change file, about

struct Item {
  uint64_t hash = 0;
  Versionstamp stamp;
  Versionstamp superseded;  // of a version
  uint32_t check = 0;
  bool write = false;  // of a change file; else a version
  bool erase = false;

  bool same_key(const Item& other) const { return hash == other.hash && check == other.check; }
};

bool in_order(const Item& a, const Item& b) {
  if (a.hash != b.hash) return a.hash < b.hash;
  if (a.check != b.check) return a.check < b.check;
  if (a.stamp != b.stamp) return a.stamp > b.stamp;
  return a.write > b.write;
}

struct Problem {
  const FindingKind* kind = nullptr;
  uint64_t hash = 0;
  Versionstamp stamp;
  bool of_write = true;  // told where the change file names it; else where the version stands
  std::string what;      // goes on from the key and the versionstamp
};
using ProblemSink = std::function<void(Problem)>;

// Scans segments and change files one after the other.
struct Files {
  FileSystem& fs;
  const DatabaseFiles& files;
  Reporter& silent;

  void each_write(const std::function<void(uint64_t file, Versionstamp, WriteKind, std::string_view)>& f) {
    struct Visitor final : ChangeVisitor {
      void on_commit(Versionstamp s, int64_t, uint32_t) override { stamp = s; }
      void on_write(WriteKind kind, std::string_view key) override {
        if (stamp >= horizon) (*f)(file, stamp, kind, key);
      }
      const std::function<void(uint64_t, Versionstamp, WriteKind, std::string_view)>* f = nullptr;
      Versionstamp horizon, stamp;
      uint64_t file = 0;
    } visitor;
    visitor.f = &f;
    visitor.horizon = files.state.horizon;
    for (const auto& [number, meta] : files.state.changes) {
      if (!files.changes.contains(number)) continue;
      visitor.file = number;
      scan_changes(fs, files.path(FileType::kChanges, number),
                   files.guessed ? std::nullopt : std::optional(meta),
                   {true, files.salt(number), nullptr, nullptr}, visitor, silent);
    }
  }

  void each_version(const std::function<void(const VersionSource&)>& f) {
    for (const auto& [number, segment] : files.state.segments) {
      if (!files.segments.contains(number)) continue;
      SegmentScanOptions options;
      options.search_blocks = true;
      options.salt = files.salt(number);
      std::unique_ptr<VersionSource> scan = std::make_unique<SegmentScan>(
          fs, files.path(FileType::kSegment, number),
          files.guessed ? std::nullopt : std::optional(segment.meta), options, silent);
      if (segment.ceiling) scan = std::make_unique<SharedSource>(std::move(scan), *segment.ceiling);
      while (scan->next()) f(*scan);
    }
  }
};

class Join {
 public:
  Join(Files& files, std::vector<ListedRange> listed, const WalContents* log, ProblemSink problems)
      : files_(files), listed_(std::move(listed)), log_(log), problems_(std::move(problems)) {
    std::sort(listed_.begin(), listed_.end(),
              [](const ListedRange& a, const ListedRange& b) { return a.first < b.first; });
  }

  void run(uint64_t memory_bytes) {
    uint64_t items = log_ == nullptr ? 0 : log_->versions.size();
    for (const auto& [number, segment] : files_.files.state.segments) {
      const auto file = files_.files.segments.find(number);
      if (file == files_.files.segments.end()) continue;
      // What the manifest says may be wrong: there are not more entries than bytes.
      items += std::clamp(segment.meta.entries, file->second / 64, file->second);
    }
    for (const auto& [number, size] : files_.files.changes) items += size / kBytesOfAWrite;
    parts_ = items * sizeof(Item) / std::max<uint64_t>(memory_bytes, 1) + 1;
    for (part_ = 0; part_ < parts_; ++part_) {
      collect();
      std::sort(items_.begin(), items_.end(), in_order);
      for (size_t begin = 0, end; begin < items_.size(); begin = end) {
        end = begin + 1;
        while (end < items_.size() && items_[end].same_key(items_[begin])) ++end;
        look(begin, end);
      }
    }
  }
  uint64_t parts() const { return parts_; }

 private:
  void add(std::string_view key, Item item) {
    item.hash = key_hash(key);
    if (parts_ > 1 && (item.hash >> 32) * parts_ >> 32 != part_) return;
    item.check = static_cast<uint32_t>(xxh3(key, kCheckSeed));
    items_.push_back(item);
  }

  void collect() {
    items_.clear();
    files_.each_write([&](uint64_t, Versionstamp stamp, WriteKind kind, std::string_view key) {
      add(key, {0, stamp, {}, 0, true, kind == WriteKind::kTombstone});
    });
    files_.each_version([&](const VersionSource& v) {
      add(v.key(), {0, v.stamp(), v.superseded(), 0, false, v.tombstone()});
    });
    if (log_ == nullptr) return;
    for (const WalVersion& v : log_->versions)
      add(v.key, {0, v.stamp, Versionstamp::max(), 0, false, v.tombstone});
  }

  // Whether a value is what a read at the moment `at` gives, by the versions in [begin, end), all older.
  bool value_visible(size_t begin, size_t end, Versionstamp at) const {
    for (size_t i = begin; i < end; ++i)
      if (!items_[i].write && at < items_[i].superseded) return !items_[i].erase;
    return false;
  }

  bool listed(Versionstamp stamp) const {
    const auto after =
        std::upper_bound(listed_.begin(), listed_.end(), stamp,
                         [](Versionstamp at, const ListedRange& range) { return at < range.first; });
    return after != listed_.begin() && stamp <= std::prev(after)->last;
  }

  // All items of one key, the newest first.
  void look(size_t begin, size_t end) {
    std::optional<Versionstamp> newer;
    for (size_t i = begin, next; i < end; i = next) {
      const Versionstamp stamp = items_[i].stamp;
      next = i + 1;
      while (next < end && items_[next].stamp == stamp) ++next;
      const Item* write = items_[i].write ? &items_[i] : nullptr;
      size_t version = i;
      while (version < next && items_[version].write) ++version;
      const auto problem = [&](const FindingKind& kind, bool of_write, std::string what) {
        problems_({&kind, items_[i].hash, stamp, of_write, std::move(what)});
      };
      if (write != nullptr && version == next) {
        if (!write->erase)
          problem(kVersionMissing, true, "is in no segment");
        else if (value_visible(next, end, stamp))
          problem(kErasedVisible, true, "was a deletion, but an older value is seen");
      } else if (write != nullptr && write->erase != items_[version].erase) {
        problem(kVersionMissing, true,
                write->erase ? "was a deletion, but a segment has a value"
                             : "was a value, but a segment has a deletion");
      } else if (write == nullptr && stamp >= files_.files.state.horizon && listed(stamp)) {
        problem(kVersionUnlisted, false, "is named in no change file");
      }
      // What superseded it may have been a deletion that stands nowhere any more, but then a change file
      // names it, unless it was published as a segment.
      if (version < next && newer && stamp >= files_.files.state.horizon &&
          items_[version].superseded < *newer && listed(items_[version].superseded))
        problem(kVersionBound, false,
                "is said to have been superseded before " + newer->hex() + ", which superseded it");
      newer = stamp;
    }
  }

  Files& files_;
  std::vector<ListedRange> listed_;
  const WalContents* const log_;
  const ProblemSink problems_;
  std::vector<Item> items_;
  uint64_t parts_ = 1;
  uint64_t part_ = 0;
};

}  // namespace

uint64_t key_hash(std::string_view key) {
  return xxh3(key);
}

void cross_check(FileSystem& fs, const DatabaseFiles& files, const std::vector<ListedRange>& listed,
                 uint64_t memory_bytes, Reporter& reporter) {
  Reporter silent(&reporter);
  Files all{fs, files, silent};
  std::unordered_multimap<uint64_t, Problem> found;
  uint64_t more = 0;
  Join(all, listed, nullptr, [&](Problem problem) {
    if (found.size() < kMaxProblems)
      found.emplace(problem.hash, std::move(problem));
    else
      ++more;
  }).run(memory_bytes);
  if (found.empty()) return;
  // Only now the keys are needed.
  const auto tell = [&](std::string_view key, Versionstamp stamp, bool of_write, const std::string& path,
                        std::optional<uint64_t> offset) {
    const auto [begin, end] = found.equal_range(key_hash(key));
    for (auto it = begin; it != end; ++it)
      if (it->second.stamp == stamp && it->second.of_write == of_write)
        reporter.report(*it->second.kind, path, offset,
                        "the write of " + shown(key) + " at " + stamp.hex() + " " + it->second.what);
  };
  all.each_write([&](uint64_t file, Versionstamp stamp, WriteKind, std::string_view key) {
    tell(key, stamp, true, files.path(FileType::kChanges, file), std::nullopt);
  });
  all.each_version([&](const VersionSource& v) { tell(v.key(), v.stamp(), false, v.file(), v.offset()); });
  if (more > 0)
    reporter.report(kVersionMissing, files.dir, std::nullopt,
                    std::to_string(more) + " more writes on which segments and change files do not agree");
}

LostWrites find_lost_writes(FileSystem& fs, const DatabaseFiles& files, const WalContents& log,
                            uint64_t memory_bytes, Reporter& reporter) {
  Reporter silent(&reporter);
  Files all{fs, files, silent};
  LostWrites lost;
  Join(all, {}, &log, [&](const Problem& problem) {
    if (problem.of_write) lost[problem.hash].push_back(problem.stamp);
  }).run(memory_bytes);
  return lost;
}

}  // namespace tidemark::verify
