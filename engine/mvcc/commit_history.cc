#include "engine/mvcc/commit_history.h"

#include <algorithm>

#include "engine/mvcc/point_read.h"

// Memtables are taken before the manifest is looked at: a commit that a flush has moved in between is in
// both, and `flushed_` tells.

namespace tidemark {

// Hands on the commits of a range, as long as more are wanted.
class CommitRange : public ChangeVisitor {
 public:
  CommitRange(Versionstamp from, Versionstamp to) : from_(from), to_(to) {}

  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) final {
    inside_ = !enough_ && stamp > from_ && stamp <= to_;
    enough_ = enough_ || stamp > to_;
    if (inside_ && !begin({stamp, timestamp_ms}, writes)) {
      inside_ = false;
      enough_ = true;
    }
  }
  void on_write(WriteKind kind, std::string_view key) final {
    if (inside_) give(kind, key);
  }
  void on_write(const Memtable::Write& write) {
    if (inside_) give(write);
  }
  bool enough() const { return enough_; }

 private:
  // False: enough.
  virtual bool begin(const CommitPoint& commit, uint32_t writes) = 0;
  virtual void give(WriteKind kind, std::string_view key) = 0;
  virtual void give(const Memtable::Write& write) = 0;

  const Versionstamp from_;
  const Versionstamp to_;
  bool inside_ = false;
  bool enough_ = false;
};

namespace {

// Hands on the keys that were written.
class KeyRange final : public CommitRange {
 public:
  KeyRange(Versionstamp from, Versionstamp to, HistoryVisitor& visitor)
      : CommitRange(from, to), visitor_(visitor) {}

 private:
  bool begin(const CommitPoint& commit, uint32_t writes) override {
    return visitor_.on_commit(commit, writes);
  }
  void give(WriteKind kind, std::string_view key) override {
    visitor_.on_write(key, kind == WriteKind::kTombstone);
  }
  void give(const Memtable::Write& write) override { give(write.kind, write.key); }

  HistoryVisitor& visitor_;
};

// Hands on keys and values. Change files have no values: each is looked up as it was at its commit.
class WriteRange final : public CommitRange {
 public:
  WriteRange(Versionstamp from, Versionstamp to, const ReadState& state, WriteVisitor& visitor)
      : CommitRange(from, to), state_(state), visitor_(visitor) {}

  Status status;

 private:
  bool begin(const CommitPoint& commit, uint32_t writes) override {
    stamp_ = commit.stamp;
    return status.has_value() && visitor_.on_commit(commit, writes);
  }
  void give(WriteKind kind, std::string_view key) override {
    if (!status) return;
    if (kind == WriteKind::kTombstone) return visitor_.on_erase(key);
    const auto found = read_point(state_, key, stamp_, {});
    if (!found)
      status = std::unexpected(found.error());
    else if (!*found || (*found)->stamp != stamp_)
      status = fail(ErrorCode::kCorruption, "a change file names a write at " + stamp_.hex() +
                                                " that is in no segment: tidemark fsck tells more");
    else
      visitor_.on_put(key, (*found)->value);
  }
  void give(const Memtable::Write& write) override {
    if (write.kind == WriteKind::kTombstone)
      visitor_.on_erase(write.key);
    else
      visitor_.on_put(write.key, write.value);
  }

  const ReadState& state_;
  WriteVisitor& visitor_;
  Versionstamp stamp_;
};

struct Listed {
  CommitPoint point;
  uint32_t writes;
};

class Lister final : public ChangeVisitor {
 public:
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    commits.push_back({{stamp, timestamp_ms}, writes});
  }
  void on_write(WriteKind, std::string_view) override {}
  std::vector<Listed> commits;
};

// How many commits of a memtable are at or below both.
size_t count_to(const Memtable& table, Versionstamp stamp, int64_t timestamp_ms = INT64_MAX) {
  size_t low = 0;
  for (size_t high = table.commit_count(); low < high;) {
    const size_t middle = low + (high - low) / 2;
    const Memtable::Commit& commit = table.commit(middle);
    if (commit.stamp <= stamp && commit.timestamp_ms <= timestamp_ms)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace

CommitHistory::CommitHistory(VersionSet& versions, Versionstamp head) : versions_(versions), head_(head) {
  const auto state = versions.acquire();
  memtables_.assign(state->frozen.rbegin(), state->frozen.rend());
  memtables_.push_back(state->active);
  const ManifestState manifest = versions.manifest_state();
  flushed_ = manifest.flushed_stamp;
  for (const auto& [number, meta] : manifest.changes) files_.push_back(meta);
  std::ranges::sort(files_, {}, &ChangeFileMeta::first_stamp);
}

Result<std::unique_ptr<ChangeFileReader>> CommitHistory::open(const ChangeFileMeta& file) const {
  auto reader = ChangeFileReader::open(versions_.fs(), versions_.path(FileType::kChanges, file.number), file);
  if (!reader && !versions_.manifest_state().changes.contains(file.number)) return nullptr;
  return reader;
}

Result<CommitPoint> CommitHistory::floor(Versionstamp stamp, int64_t timestamp_ms) const {
  stamp = std::min(stamp, head_);
  for (auto table = memtables_.rbegin(); table != memtables_.rend(); ++table) {
    const size_t count = count_to(**table, stamp, timestamp_ms);
    if (count == 0) continue;
    const Memtable::Commit& commit = (*table)->commit(count - 1);
    if (commit.stamp > flushed_) return CommitPoint{commit.stamp, commit.timestamp_ms};
  }
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
    if (file->first_stamp > stamp || file->first_timestamp_ms > timestamp_ms) continue;
    TM_ASSIGN(const auto reader, open(*file));
    if (reader == nullptr) break;
    TM_ASSIGN(const auto found, reader->floor(stamp, timestamp_ms));
    if (found) return *found;
  }
  return CommitPoint{};
}

Status CommitHistory::visit(Versionstamp from, Versionstamp to, HistoryVisitor& visitor) const {
  to = std::min(to, head_);
  KeyRange range(from, to, visitor);
  return walk(from, to, range);
}

Status CommitHistory::visit_writes(Versionstamp from, Versionstamp to, WriteVisitor& visitor) const {
  to = std::min(to, head_);
  const auto state = versions_.acquire();
  WriteRange range(from, to, *state, visitor);
  TM_TRY(walk(from, to, range));
  return range.status;
}

Status CommitHistory::walk(Versionstamp from, Versionstamp to, CommitRange& range) const {
  for (const ChangeFileMeta& file : files_) {
    if (file.last_stamp <= from) continue;
    if (file.first_stamp > to || range.enough()) break;
    TM_ASSIGN(const auto reader, open(file));
    if (reader == nullptr) continue;
    for (size_t block = 0; block < reader->blocks() && !range.enough(); ++block) {
      if (block + 1 < reader->blocks() && reader->first_stamp(block + 1) <= from) continue;
      if (reader->first_stamp(block) > to) break;
      TM_TRY(reader->visit_block(block, range));
    }
  }
  from = std::max(from, flushed_);
  for (const auto& table : memtables_) {
    const size_t count = table->commit_count();
    for (size_t i = count_to(*table, from); i < count && !range.enough(); ++i) {
      const Memtable::Commit& commit = table->commit(i);
      range.on_commit(commit.stamp, commit.timestamp_ms,
                      static_cast<uint32_t>(commit.end_write - commit.first_write));
      if (range.enough()) break;
      for (uint64_t w = commit.first_write; w < commit.end_write; ++w) range.on_write(table->write(w));
    }
  }
  return {};
}

Status CommitHistory::visit_newest_first(
    Versionstamp from, Versionstamp to,
    const std::function<bool(const CommitPoint&, uint32_t writes)>& visit) const {
  to = std::min(to, head_);
  for (auto table = memtables_.rbegin(); table != memtables_.rend(); ++table) {
    const size_t begin = count_to(**table, std::max(from, flushed_));
    for (size_t i = count_to(**table, to); i-- > begin;) {
      const Memtable::Commit& commit = (*table)->commit(i);
      if (!visit({commit.stamp, commit.timestamp_ms},
                 static_cast<uint32_t>(commit.end_write - commit.first_write)))
        return {};
    }
  }
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
    if (file->first_stamp > to) continue;
    if (file->last_stamp <= from) break;
    TM_ASSIGN(const auto reader, open(*file));
    if (reader == nullptr) break;
    for (size_t block = reader->blocks(); block-- > 0;) {
      if (reader->first_stamp(block) > to) continue;
      Lister lister;
      TM_TRY(reader->visit_block(block, lister));
      for (auto one = lister.commits.rbegin(); one != lister.commits.rend(); ++one) {
        if (one->point.stamp > to) continue;
        if (one->point.stamp <= from || !visit(one->point, one->writes)) return {};
      }
    }
  }
  return {};
}

}  // namespace tidemark
