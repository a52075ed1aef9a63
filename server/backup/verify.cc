#include "server/backup/verify.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "engine/base/time_text.h"
#include "server/backup/log_object.h"
#include "server/backup/object_fetch.h"
#include "server/backup/snapshot_object.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"

namespace tidemark::backup {
namespace {

constexpr uint64_t kEntriesPerRange = 4096;  // on average

class Verifier {
 public:
  Verifier(Engine& engine, const Source& source, const std::function<Status(const Verification&)>& progress)
      : engine_(engine), source_(source), progress_(progress) {}

  Result<Verification> run() {
    if (!source_.index()) {
      TM_TRY(check_foreign());
      return std::move(out_);
    }
    const std::vector<Generation>& all = source_.index()->generations;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].pruned) continue;
      ++out_.generations;
      TM_TRY(check_generation(all[i], i + 1 < all.size() ? &all[i + 1] : nullptr));
    }
    if (!torn_end_.empty()) problem(torn_end_);
    if (!source_.index()->reaches_the_end())
      problem(
          "the newest generation has no complete snapshot and continues none: what was committed since "
          "cannot be restored yet");
    return std::move(out_);
  }

 private:
  void problem(std::string sentence) { out_.problems.push_back(std::move(sentence)); }
  Status tick(uint64_t bytes) {
    out_.bytes += bytes;
    return progress_ ? progress_(out_) : Status();
  }

  Status check_generation(const Generation& generation, const Generation* next) {
    CommitPoint begin{generation.snapshot, 0};
    if (generation.complete) {
      TM_ASSIGN(const auto differential, source_.differential(generation.id));
      if (differential != generation.snapshot)
        problem("generation " + generation.id + ": the object " + std::string(kDifferential) +
                " does not name its snapshot, " + generation.snapshot.hex());
      TM_TRY(check_snapshot(generation, begin));
    } else {
      out_.notes.push_back("generation " + generation.id + ": its snapshot is being written");
    }
    TM_TRY(check_log(generation.id, begin, generation.sessions));
    if (next == nullptr) return {};
    // Its writing was interrupted, and what followed did not need it.
    if (!torn_end_.empty()) out_.notes.push_back(std::exchange(torn_end_, {}));
    if (!next->continues) {
      out_.notes.push_back("history has a gap before generation " + next->id + ", which began at " +
                           format_time(next->began_ms) + " (" + next->reason + ")");
    } else if (out_.end.stamp != next->snapshot && out_.end.stamp < next->snapshot) {
      problem("generation " + generation.id + ": the log ends at " + out_.end.stamp.hex() +
              ", and the next generation goes on from " + next->snapshot.hex());
    }
    return {};
  }

  // `version`: gets the time that goes with it.
  Status check_snapshot(const Generation& generation, CommitPoint& version) {
    TM_ASSIGN(const std::vector<ObjectInfo> ranges, source_.snapshot(generation.id));
    if (ranges.size() != generation.ranges)
      problem("generation " + generation.id + ": its snapshot has " + std::to_string(ranges.size()) +
              " objects, and should have " + std::to_string(generation.ranges));
    const size_t folder = source_.generation_prefix(generation.id).size() + kSnapshotFolder.size();
    for (size_t i = 0; i < ranges.size(); ++i) {
      const auto name = parse_snapshot_name(std::string_view(ranges[i].key).substr(folder));
      if (name->range == i) continue;
      problem(ranges[i].key + ": the one before it is missing");
      break;
    }
    std::string last_key;
    return fetch(ranges, [&](const ObjectInfo& info, const std::string& bytes) -> Status {
      const auto range = open_range(info, bytes);
      if (range == nullptr) return {};
      if (!range->version() || range->version()->stamp != generation.snapshot)
        problem(info.key + ": it is of another snapshot");
      else
        version = *range->version();
      while (next_entry(*range)) {
        const bool good = range->key() > last_key && range->stamp() <= generation.snapshot;
        if (!good) return problem(info.key + ": its entries are not in order"), Status();
        last_key = range->key();
      }
      return {};
    });
  }

  // Null, and a problem, if it is none.
  std::unique_ptr<SnapshotRangeReader> open_range(const ObjectInfo& info, const std::string& bytes) {
    ++out_.snapshot_objects;
    auto range = SnapshotRangeReader::open(info.key, bytes, source_.index().has_value());
    if (range) return std::move(*range);
    problem(range.error().message);
    return nullptr;
  }
  bool next_entry(SnapshotRangeReader& range) {
    const Result<bool> more = range.next();
    if (!more) problem(more.error().message);
    if (!more || !*more) return false;
    ++out_.entries;
    return true;
  }

  // `sessions`: of whom the log is; nothing: it is none of ours.
  Status check_log(const std::string& id, const CommitPoint& from,
                   std::optional<std::vector<WriterSession>> sessions) {
    LogReplay replay(from, std::move(sessions));
    std::string start_after;
    uint64_t expected = 1;
    bool broken = false;
    torn_end_.clear();
    std::vector<ReplayCommit> commits;
    for (;;) {
      TM_ASSIGN(const auto page, source_.log(id, start_after));
      if (page.empty()) break;
      start_after = page.back().info.key;
      std::vector<ObjectInfo> objects;
      for (const NamedLogObject& one : page) {
        const bool ours = source_.index().has_value();
        // The same number again: what an earlier run wrote late.
        if (ours && one.name.sequence != expected && one.name.sequence + 1 != expected)
          problem(one.info.key + ": the one before it is missing");
        expected = one.name.sequence + 1;
        objects.push_back(one.info);
      }
      size_t at = 0;
      TM_TRY(fetch(objects, [&](const ObjectInfo& info, const std::string& bytes) -> Status {
        const LogName& name = page[at++].name;
        ++out_.log_objects;
        if (!torn_end_.empty()) problem(std::exchange(torn_end_, {}));
        if (broken) return {};
        commits.clear();
        const Status added = replay.add(info.key, name, bytes, commits);
        broken = !added;
        if (!added && added.error().code == ErrorCode::kCorruption)
          return torn_end_ = added.error().message, Status();
        if (!added) return problem(added.error().message), Status();
        out_.commits += commits.size();
        if (source_.index() && commits.empty() && name.last.stamp > replay.last().stamp)
          out_.notes.push_back(info.key + " counts for nothing: its writer was no longer the one who writes");
        return {};
      }));
    }
    if (replay.inside_commit()) problem("the log ends inside a commit");
    out_.end = replay.last();
    return {};
  }

  // One generation, as Deno Deploy writes it.
  Status check_foreign() {
    out_.generations = 1;
    TM_ASSIGN(const auto differential, source_.differential(""));
    if (!differential)
      problem("there is no object " + std::string(kDifferential) + ": the snapshot is not complete");
    TM_ASSIGN(const std::vector<ObjectInfo> ranges, source_.snapshot(""));
    TM_TRY(fetch(ranges, [&](const ObjectInfo& info, const std::string& bytes) -> Status {
      const auto range = open_range(info, bytes);
      while (range != nullptr && next_entry(*range)) {
      }
      return {};
    }));
    TM_TRY(check_log("", {}, std::nullopt));
    if (!torn_end_.empty()) problem(torn_end_);
    return {};
  }

  Status fetch(const std::vector<ObjectInfo>& objects,
               const std::function<Status(const ObjectInfo&, const std::string&)>& look) {
    ObjectFetch fetch(engine_.executor(), source_.store(), objects);
    for (;;) {
      TM_ASSIGN(const auto fetched, fetch.next());
      if (!fetched) return {};
      TM_TRY(look(fetched->info, fetched->bytes));
      TM_TRY(tick(fetched->bytes.size()));
    }
  }

  Engine& engine_;
  const Source& source_;
  const std::function<Status(const Verification&)>& progress_;
  Verification out_;
  std::string torn_end_;  // what is wrong with the last object of a log
};

}  // namespace

Result<Verification> verify_backup(Engine& engine, const Source& source,
                                   const std::function<Status(const Verification&)>& progress) {
  return Verifier(engine, source, progress).run();
}

Result<std::vector<RangeHash>> hash_ranges(const Database& database, const Snapshot& snapshot) {
  std::vector<RangeHash> out;
  const kv::KeyRange range{kv::part_range(kv::kQueuePrefix).start, kv::part_range(kv::kUserPrefix).end};
  kv::KeyspaceScan scan(database, snapshot, range);
  bool begins = true;
  for (;;) {
    TM_ASSIGN(const bool more, scan.next());
    if (!more) return out;
    const uint64_t key_hash = xxh3(scan.key());
    if (std::exchange(begins, key_hash % kEntriesPerRange == 0)) out.push_back({std::string(scan.key())});
    RangeHash& current = out.back();
    const auto stamp = scan.versionstamp().bytes();
    ++current.entries;
    current.hash = xxh3({stamp.data(), stamp.size()}, xxh3(scan.value(), key_hash ^ current.hash));
  }
}

}  // namespace tidemark::backup
