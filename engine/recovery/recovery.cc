#include "engine/recovery/recovery.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "engine/base/check.h"
#include "engine/format/file_names.h"
#include "engine/format/log_record.h"
#include "engine/format/wal_payload.h"
#include "engine/io/entropy.h"
#include "engine/io/folder_guard.h"
#include "engine/log/log_file_reader.h"
#include "engine/memtable/memtable_loader.h"

// 1. The manifest says which segments, change files and WAL files there must be.
// 2. The WAL files are read in order. Each names its predecessor and how much of it counts, so that a missing
// file, or
//    a record lost from the middle, is found.
// 3. What was written above the last promise may be in the system's memory only, even after it has been read
// back: it
//    is copied into a new WAL file and synced. A small log is copied whole, so that files do not add up. An
//    old WAL file is never written again.
// 4. The manifest is rolled into a new file that knows of it. Only now is the database served.

namespace tidemark {
namespace {

constexpr uint64_t kCopyWholeBytes = uint64_t{1} << 20;

struct Listing {
  std::map<uint64_t, std::string> wals;  // by number
  std::set<uint64_t> segments;
  std::set<uint64_t> changes;
  std::vector<FileName> manifests;
  std::vector<std::string> temporaries;
  bool current = false;
  bool foreign = false;  // a name that is none of ours
  uint64_t largest_number = 0;
};

Result<Listing> list(FileSystem& fs, const std::string& dir) {
  TM_ASSIGN(const auto names, fs.list_dir(dir));
  Listing listing;
  for (const std::string& name : names) {
    const auto parsed = parse_file_name(name);
    if (!parsed) {
      listing.foreign = true;
      continue;
    }
    listing.largest_number = std::max(listing.largest_number, parsed->number);
    switch (parsed->type) {
      case FileType::kWal:
        listing.wals[parsed->number] = dir + "/" + name;
        break;
      case FileType::kSegment:
        listing.segments.insert(parsed->number);
        break;
      case FileType::kChanges:
        listing.changes.insert(parsed->number);
        break;
      case FileType::kManifest:
        listing.manifests.push_back(*parsed);
        break;
      case FileType::kTemporary:
        listing.temporaries.push_back(dir + "/" + name);
        break;
      case FileType::kCurrent:
        listing.current = true;
        break;
      case FileType::kLock:
        break;
    }
  }
  return listing;
}

// Puts what the log says into the memtable. The payloads must live until flush().
class Replayer final : public WalVisitor {
 public:
  // `state`: of the manifest.
  Replayer(Memtable& memtable, const ManifestState& state)
      : memtable_(memtable),
        loader_(memtable),
        state_(state),
        last_{state.flushed_stamp, state.flushed_timestamp_ms},
        flushed_(last_) {}

  Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    skip_ = stamp <= flushed_.stamp;
    if (skip_) return {};
    if (stamp <= last_.stamp || timestamp_ms < last_.timestamp_ms)
      return fail(ErrorCode::kCorruption, "commit " + stamp.hex() + " does not follow " + last_.stamp.hex());
    last_ = {stamp, timestamp_ms};
    loader_.begin_commit(stamp, timestamp_ms);
    return {};
  }
  Status on_write(WriteKind kind, std::string_view key, std::string_view value) override {
    return skip_ ? Status() : loader_.add(kind, key, value);
  }
  Status on_ingest(const WalIngest& ingest) override {
    if (ingest.last_stamp <= flushed_.stamp) return {};  // the manifest knows
    TM_TRY(loader_.flush());
    if (ingest.last_stamp <= last_.stamp || ingest.timestamp_ms < last_.timestamp_ms ||
        memtable_.entries() > 0)
      return fail(ErrorCode::kCorruption, "published segments up to " + ingest.last_stamp.hex() +
                                              " do not follow " + last_.stamp.hex());
    // What cannot become part of the manifest is found before anything is removed.
    TM_TRY(state_.apply(ingest_edit(ingest)));
    flushed_ = last_ = {ingest.last_stamp, ingest.timestamp_ms};
    ingests_.push_back(ingest_edit(ingest));
    return {};
  }

  Status flush() { return loader_.flush(); }

  const Head::Value& last() const { return last_; }
  // For the manifest, in order: published, but not yet known there.
  const std::vector<ManifestEdit>& ingests() const { return ingests_; }

 private:
  Memtable& memtable_;
  Memtable::Loader loader_;
  ManifestState state_;
  Head::Value last_;
  Head::Value flushed_;
  std::vector<ManifestEdit> ingests_;
  bool skip_ = false;
};

struct ReplayedLog {
  std::vector<std::string> copies;  // payloads that must be written again
  bool whole = false;               // the copies are all that counts
  uint64_t predecessor_end = 0;     // of the newest file: what counts of it without the copies
};

// The WAL files that count, by number, each the predecessor of the next.
using WalChain = std::map<uint64_t, LogFileReader>;

Result<ReplayedLog> replay(WalChain chain, Replayer& replayer) {
  ReplayedLog log;
  uint64_t bytes = 0;
  std::vector<std::string> all;
  while (!chain.empty()) {
    // One file's bytes in memory at a time.
    LogFileReader reader = std::move(chain.extract(chain.begin()).mapped());
    std::optional<uint64_t> limit;
    if (!chain.empty()) limit = chain.begin()->second.header().predecessor_end;
    std::deque<RecordView> tail;  // records of the newest file that no promise covers, without their types
    while (true) {
      const uint64_t offset = reader.offset();
      TM_ASSIGN(const auto record, reader.next(limit));
      if (!record) break;
      if (auto visited = visit_wal_payload(record->payload, replayer); !visited)
        return fail_within(reader.path() + " at offset " + std::to_string(offset), visited.error());
      while (!tail.empty() && tail.front().end <= reader.promised()) tail.pop_front();
      if (record->payload.front() == static_cast<char>(WalRecordType::kClose))
        continue;  // has made its promise
      std::string_view payload = record->payload;
      if (payload.starts_with(static_cast<char>(WalRecordType::kCopy))) payload.remove_prefix(1);
      bytes += payload.size();
      if (bytes <= kCopyWholeBytes) all.emplace_back(payload);
      if (!limit) tail.push_back({payload, record->promised, record->end});
    }
    if (auto flushed = replayer.flush(); !flushed) return fail_within(reader.path(), flushed.error());
    if (limit) continue;
    log.predecessor_end = reader.promised();
    for (const RecordView& record : tail) log.copies.emplace_back(record.payload);
  }
  if (bytes <= kCopyWholeBytes) {
    log.whole = true;
    log.copies = std::move(all);
  }
  return log;
}

// Found backwards from the newest: each names the one before it. Files of other numbers are leftovers of a
// start or a roll that did not end.
Result<WalChain> wal_chain(FileSystem& fs, const std::string& dir, const std::string& database_id,
                           const ManifestState& state) {
  WalChain chain;
  for (uint64_t number = state.newest_wal; number != 0;) {
    const std::string path = file_path(dir, FileType::kWal, number);
    TM_ASSIGN(const bool present, fs.exists(path));
    if (!present) {
      return fail(ErrorCode::kCorruption, path + " is missing" +
                                              (chain.empty() ? ""
                                                             : ", though " + chain.begin()->second.path() +
                                                                   " names it as the one before it"));
    }
    TM_ASSIGN(LogFileReader reader, LogFileReader::open(fs, path, LogKind::kWal, database_id, number));
    const uint64_t predecessor = reader.header().predecessor_number;
    chain.emplace(number, std::move(reader));
    if (number == state.oldest_wal) return chain;
    number = predecessor;
    if (number < state.oldest_wal || number >= chain.begin()->first)
      return fail(ErrorCode::kCorruption, path +
                                              " at offset 40: the chain of WAL files does not lead to file " +
                                              std::to_string(state.oldest_wal));
  }
  return chain;
}

// Beyond the newest that the manifest knows, WAL files hold nothing but copies. A commit in one means that
// the manifest has lost its last record.
Status check_unknown_wals(FileSystem& fs, const std::string& database_id, const Listing& listing,
                          const ManifestState& state, const std::string& manifest_path) {
  for (auto it = listing.wals.upper_bound(state.newest_wal); it != listing.wals.end(); ++it) {
    auto reader = LogFileReader::open(fs, it->second, LogKind::kWal, database_id, it->first);
    if (!reader) {
      if (reader.error().code == ErrorCode::kCorruption) continue;
      return std::unexpected<Error>(std::move(reader).error());
    }
    for (auto record = reader->next(std::nullopt); record && *record; record = reader->next(std::nullopt))
      if (!(*record)->payload.starts_with(static_cast<char>(WalRecordType::kCopy)))
        return fail(ErrorCode::kCorruption, manifest_path + ": its last record is lost: " + it->second +
                                                " holds commits, but the manifest does not know the file");
  }
  return {};
}

void remove_leftovers(FileSystem& fs, const std::string& dir, const Listing& listing,
                      const ManifestState& state, const std::set<uint64_t>& wals, uint64_t manifest_number) {
  const auto remove = [&](const std::string& path) { (void)fs.remove(path).has_value(); };
  for (const auto& [number, path] : listing.wals)
    if (number < state.oldest_wal || !wals.contains(number)) remove(path);
  for (uint64_t number : listing.segments)
    if (!state.segments.contains(number)) remove(file_path(dir, FileType::kSegment, number));
  for (uint64_t number : listing.changes)
    if (!state.changes.contains(number)) remove(file_path(dir, FileType::kChanges, number));
  for (const FileName& manifest : listing.manifests)
    if (manifest.number != manifest_number) remove(file_path(dir, FileType::kManifest, manifest.number));
  for (const std::string& path : listing.temporaries) remove(path);
}

// Whether the folder is a database of ours or may become one; nothing is written to any other.
Status check_ours(FileSystem& fs, const std::string& dir, const Listing& listing, bool create_if_missing) {
  const auto foreign = [&] {
    return fail(ErrorCode::kInvalidArgument, dir + " is not a tidemark database, and not empty either");
  };
  if (listing.current) {
    // LevelDB and its kin have a CURRENT, too.
    if (listing.foreign && !Manifest::is_current_file(fs, dir)) return foreign();
    return {};
  }
  if (listing.foreign) return foreign();
  // CURRENT is the first thing that counts: without it there was never a commit here, unless it was lost.
  if (!listing.segments.empty() || !listing.wals.empty())
    return fail(ErrorCode::kCorruption, dir + "/CURRENT is missing, though there are segments or WAL files");
  if (!create_if_missing) return fail(ErrorCode::kNotFound, "there is no tidemark database in " + dir);
  return {};
}

Result<std::unique_ptr<Manifest>> open_or_create_manifest(FileSystem& fs, Clock& clock,
                                                          const std::string& dir, const Listing& listing,
                                                          bool create_if_missing) {
  TM_TRY(check_ours(fs, dir, listing, create_if_missing));
  if (listing.current) return Manifest::open(fs, dir);
  // Also of a folder that was there: whoever made it may have failed to do so.
  TM_TRY(fs.sync_dir(parent_dir(dir)));
  ManifestEdit empty;
  empty.epoch = 1;
  // Where the clock that ages history starts.
  empty.retention_clock_ms = clock.wall_us() / 1000;
  return Manifest::create(fs, dir, random_bytes(16), empty);
}

}  // namespace

Result<Recovered> recover(FileSystem& file_system, Clock& clock, const std::string& dir,
                          bool create_if_missing, OpenSegments& open_segments, const LogSink& log) {
  Recovered recovered;
  recovered.files = std::make_unique<FolderGuard>(file_system, dir);
  FileSystem& fs = *recovered.files;
  TM_ASSIGN(const bool present, fs.exists(dir));
  if (!present) {
    if (!create_if_missing) return fail(ErrorCode::kNotFound, "there is no tidemark database in " + dir);
    TM_TRY(fs.create_dir(dir));
  }
  TM_ASSIGN(const Listing before, list(fs, dir));
  TM_TRY(check_ours(fs, dir, before, create_if_missing));
  TM_ASSIGN(recovered.lock, fs.lock(dir + "/" + std::string(kLockFileName)));
  // Listed again: until now another process may have been at work.
  TM_ASSIGN(const Listing listing, list(fs, dir));
  TM_ASSIGN(auto manifest, open_or_create_manifest(fs, clock, dir, listing, create_if_missing));
  const std::string database_id = manifest->database_id();
  const ManifestState state = manifest->state();
  TM_CHECK(state.epoch >= 1 && state.epoch <= 127);
  recovered.epoch = static_cast<uint8_t>(state.epoch);
  manifest->skip_file_numbers(listing.largest_number + 1);

  for (const auto& [number, segment] : state.segments)
    if (!listing.segments.contains(number))
      return fail(ErrorCode::kCorruption, file_path(dir, FileType::kSegment, number) + " is missing");
  for (const auto& [number, change] : state.changes)
    if (!listing.changes.contains(number))
      return fail(ErrorCode::kCorruption, file_path(dir, FileType::kChanges, number) + " is missing");
  TM_ASSIGN(WalChain chain, wal_chain(fs, dir, database_id, state));
  std::set<uint64_t> wals;
  for (const auto& [number, reader] : chain) wals.insert(number);
  TM_TRY(check_unknown_wals(fs, database_id, listing, state,
                            file_path(dir, FileType::kManifest, manifest->file_number())));

  auto memtable = std::make_shared<Memtable>();
  Replayer replayer(*memtable, state);
  TM_ASSIGN(ReplayedLog replayed, replay(std::move(chain), replayer));
  recovered.last = replayer.last();

  for (const ManifestEdit& ingest : replayer.ingests()) {
    for (const PlacedSegment& segment : ingest.added_segments)
      if (!listing.segments.contains(segment.meta.number))
        return fail(ErrorCode::kCorruption,
                    file_path(dir, FileType::kSegment, segment.meta.number) + " is missing");
    for (const ChangeFileMeta& changes : ingest.added_changes)
      if (!listing.changes.contains(changes.number))
        return fail(ErrorCode::kCorruption,
                    file_path(dir, FileType::kChanges, changes.number) + " is missing");
  }

  // Leftovers of other starts go before the new file is begun: what lies beyond the newest file must be from
  // this start alone. Those below stay until the manifest is rolled: what it says may have been read back
  // without ever having been durable, and the disk may still hold one that needs them.
  for (auto it = listing.wals.upper_bound(state.newest_wal); it != listing.wals.end(); ++it)
    TM_TRY(fs.remove(it->second));
  const uint64_t number = manifest->new_file_number();
  TM_ASSIGN(recovered.wal, WalWriter::create(fs, dir, database_id, number));
  uint64_t end = kLogHeaderBytes;
  for (const std::string& payload : replayed.copies) end += record_bytes(1 + payload.size());
  TM_TRY(recovered.wal->reserve(end));
  const bool follows = !replayed.whole && !wals.empty();
  TM_TRY(recovered.wal->start(follows ? *wals.rbegin() : 0, follows ? replayed.predecessor_end : 0));
  for (const std::string& payload : replayed.copies) {
    std::string record(kRecordHeaderBytes, '\0');
    record.push_back(static_cast<char>(WalRecordType::kCopy));
    record += payload;
    TM_TRY(recovered.wal->append(record));
  }
  TM_TRY(recovered.wal->sync());
  ManifestEdit edit;
  edit.newest_wal = number;
  if (!follows) edit.oldest_wal = number;
  std::vector<ManifestEdit> edits = replayer.ingests();
  edits.push_back(edit);
  TM_TRY(manifest->roll(edits));
  memtable->set_first_wal(follows ? state.oldest_wal : number);
  recovered.wal_files = follows ? wals.size() + 1 : 1;

  remove_leftovers(fs, dir, listing, manifest->state(), wals, manifest->file_number());
  if (log && memtable->entries() > 0)
    log(LogLevel::kInfo, dir + ": recovered " + std::to_string(memtable->commit_count()) +
                             " commits (WAL files: " + std::to_string(wals.size()) + ")");
  recovered.versions = std::make_unique<VersionSet>(fs, dir, open_segments, std::move(manifest));
  recovered.versions->switch_memtable(std::move(memtable));
  return recovered;
}

}  // namespace tidemark
