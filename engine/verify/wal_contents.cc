// The chain is found backwards, as recovery finds it, but a break in it does not end the reading: the files
// before it are then all those from `oldest_wal` on, which in a sound database are a chain.
#include "engine/verify/wal_contents.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "engine/format/block.h"
#include "engine/format/wal_payload.h"
#include "engine/verify/log_scan.h"

namespace tidemark::verify {
namespace {

struct Reader final : WalVisitor {
  Reader(WalContents& contents, ManifestState& state)
      : contents(contents), state(state), flushed(state.flushed_stamp) {
    contents.head = state.flushed_stamp;
    contents.head_timestamp_ms = state.flushed_timestamp_ms;
  }

  Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    missing_writes = writes;
    skip = stamp <= flushed || (lenient && stamp <= contents.head);
    if (skip) return {};
    if (stamp <= contents.head || timestamp_ms < contents.head_timestamp_ms) {
      skip = true;
      return fail(ErrorCode::kCorruption,
                  "commit " + stamp.hex() + " does not follow " + contents.head.hex());
    }
    contents.head = stamp;
    contents.head_timestamp_ms = timestamp_ms;
    contents.commits.push_back({stamp, timestamp_ms, contents.versions.size(), file_number, offset});
    keys.clear();
    return {};
  }

  Status on_write(WriteKind kind, std::string_view key, std::string_view value) override {
    if (skip) return {};
    --missing_writes;
    if (!keys.emplace(key).second)
      return fail(ErrorCode::kCorruption, "commit " + contents.head.hex() + " has a key twice");
    contents.versions.push_back(
        {std::string(key), std::string(value), contents.head, kind == WriteKind::kTombstone});
    return {};
  }

  Status on_ingest(const WalIngest& ingest) override {
    if (ingest.last_stamp <= flushed || (lenient && ingest.last_stamp <= contents.head)) return {};
    if (guessed) {
      // Its segments are there or not.
      contents.head = ingest.last_stamp;
      contents.head_timestamp_ms = ingest.timestamp_ms;
      return {};
    }
    if (ingest.last_stamp <= contents.head || ingest.timestamp_ms < contents.head_timestamp_ms ||
        !contents.versions.empty())
      return fail(ErrorCode::kCorruption, "published segments up to " + ingest.last_stamp.hex() +
                                              " do not follow " + contents.head.hex());
    TM_TRY(state.apply(ingest_edit(ingest)));
    flushed = contents.head = ingest.last_stamp;
    contents.head_timestamp_ms = ingest.timestamp_ms;
    return {};
  }

  // What a record began and did not end is no commit.
  void give_up() {
    if (skip || missing_writes == 0 || contents.commits.empty()) return;
    contents.versions.resize(contents.commits.back().first_version);
    contents.commits.pop_back();
  }

  WalContents& contents;
  ManifestState& state;
  Versionstamp flushed;
  uint64_t file_number = 0;  // of the record at hand
  uint64_t offset = 0;
  bool guessed = false;  // the state does not tell which segments are published
  bool lenient = false;  // files may say again what others have said
  bool skip = false;
  uint64_t missing_writes = 0;
  std::set<std::string, std::less<>> keys;  // of the commit under way
};

// The headers of the files that count, by number.
using Chain = std::map<uint64_t, Result<LogHeader>>;

Result<LogHeader> read_header(FileSystem& fs, const DatabaseFiles& files, uint64_t number) {
  TM_ASSIGN(const auto file, fs.open(files.path(FileType::kWal, number), OpenMode::kRead));
  char bytes[kLogHeaderBytes];
  TM_ASSIGN(const size_t size, file->read_at(0, bytes, sizeof bytes));
  TM_ASSIGN(LogHeader header, decode_log_header({bytes, size}, LogKind::kWal));
  if (header.file_number != number || (!files.database_id.empty() && header.database_id != files.database_id))
    return fail(ErrorCode::kCorruption, "the file is another database's or was written under another number");
  return header;
}

Chain find_chain(FileSystem& fs, const DatabaseFiles& files, WalContents& contents, Reporter& reporter) {
  Chain chain;
  const ManifestState& state = files.state;
  const auto broken = [&](uint64_t number, std::optional<uint64_t> offset, const std::string& what) {
    contents.whole = false;
    reporter.report(kWalChain, files.path(FileType::kWal, number), offset, what);
  };
  uint64_t number = state.newest_wal;
  std::string named_by = files.manifest_path + " names it as the newest";
  while (number != 0) {
    const std::string path = files.path(FileType::kWal, number);
    std::optional<uint64_t> before;
    if (!files.wals.contains(number)) {
      contents.whole = false;
      if (files.manifest_number != 0)
        reporter.report(kFileMissing, path, std::nullopt, "the WAL file is missing, though " + named_by);
    } else {
      auto header = read_header(fs, files, number);
      if (header) before = header->predecessor_number;
      chain.emplace(number, std::move(header));  // what is wrong with it is told when it is read
    }
    if (number <= state.oldest_wal) break;
    if (before && (*before < state.oldest_wal || *before >= number)) {
      if (files.manifest_number == 0) break;  // it need not lead anywhere
      broken(number, 40, "the chain of WAL files does not lead to file " + std::to_string(state.oldest_wal));
      before.reset();
    }
    named_by = path + " names it as the one before it";
    if (before) {
      number = *before;
      continue;
    }
    // Unknown: the next lower one that is there.
    const auto it = files.wals.lower_bound(number);
    if (it == files.wals.begin() || std::prev(it)->first < state.oldest_wal) break;
    number = std::prev(it)->first;
  }
  return chain;
}

// Into files beyond the newest that the manifest knows, nothing but copies is written.
void check_unknown(FileSystem& fs, const DatabaseFiles& files, const Chain& chain, WalContents& contents,
                   Reporter& reporter) {
  if (!files.whole) return;
  for (const auto& [number, size] : files.wals) {
    if (chain.contains(number)) continue;
    const std::string path = files.path(FileType::kWal, number);
    if (number > files.state.newest_wal) {
      auto log = LogScan::read(fs, path, LogKind::kWal, files.database_id, number);
      if (log && !log->header() && log->header().error().code == ErrorCode::kNewerFormat) {
        reporter.report(kWalDamaged, path, 0, log->header().error());
        continue;
      }
      bool commits = false;
      while (log && log->header() && !commits) {
        const auto piece = log->next(std::nullopt);
        if (!piece || !piece->record) break;
        commits = !piece->record->payload.starts_with(static_cast<char>(WalRecordType::kCopy));
      }
      if (commits) {
        contents.whole = false;
        reporter.report(
            kManifestDamaged, files.manifest_path, std::nullopt,
            "its last record is lost: " + path + " holds commits, but the manifest does not know the file");
        continue;
      }
    }
    reporter.report(kLeftover, path, std::nullopt, "the chain of WAL files does not lead to it");
  }
}

}  // namespace

WalContents read_wal(FileSystem& fs, DatabaseFiles& files, Reporter& reporter) {
  WalContents contents;
  Chain chain = find_chain(fs, files, contents, reporter);
  check_unknown(fs, files, chain, contents, reporter);
  Reader reader(contents, files.state);
  reader.guessed = files.guessed;
  reader.lenient = files.guessed || std::any_of(chain.begin(), chain.end(),
                                                [](const auto& file) { return !file.second.has_value(); });
  for (auto it = chain.begin(); it != chain.end(); ++it) {
    const std::string path = files.path(FileType::kWal, it->first);
    const auto next = std::next(it);
    std::optional<uint64_t> limit;
    if (next != chain.end() && next->second && next->second->predecessor_number == it->first)
      limit = next->second->predecessor_end;
    auto log = LogScan::read(fs, path, LogKind::kWal, files.database_id, it->first);
    if (!log) {
      contents.whole = false;
      reporter.report(kWalDamaged, path, std::nullopt, log.error());
      continue;
    }
    reporter.advance(log->bytes());
    if (!log->header()) {
      contents.whole = false;
      reporter.report(kWalDamaged, path, 0, log->header().error());
    }
    while (const auto piece = log->next(limit)) {
      if (!piece->record) {
        contents.whole = false;
        reporter.report(kWalDamaged, path, piece->offset,
                        "no intact record up to offset " + std::to_string(piece->end) +
                            ", though these bytes were durable");
        continue;
      }
      reader.file_number = it->first;
      reader.offset = piece->offset;
      if (const Status visited = visit_wal_payload(piece->record->payload, reader); !visited) {
        contents.whole = false;
        reader.give_up();
        reporter.report(kWalOrder, path, piece->offset, visited.error());
      }
    }
    if (!limit && log->torn()) ++contents.torn_files;
  }
  return contents;
}

WalSource::WalSource(const DatabaseFiles& files, const WalContents& contents)
    : files_(files), contents_(contents), order_(contents.versions.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    const WalVersion &x = contents.versions[a], &y = contents.versions[b];
    return compare_entries(x.key, x.stamp, y.key, y.stamp) < 0;
  });
}

bool WalSource::next() {
  if (at_ == order_.size()) return false;
  const WalVersion& version = contents_.versions[order_[at_++]];
  key_ = version.key;
  value_ = version.value;
  stamp_ = version.stamp;
  tombstone_ = version.tombstone;
  const auto commit = std::ranges::lower_bound(contents_.commits, version.stamp, {}, &WalCommit::stamp);
  offset_ = commit->offset;
  if (file_number_ != commit->file_number) {
    file_number_ = commit->file_number;
    file_ = files_.path(FileType::kWal, file_number_);
  }
  return true;
}

}  // namespace tidemark::verify
