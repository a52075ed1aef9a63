#include "server/backup/snapshot_upload.h"

#include <algorithm>
#include <vector>

#include "server/backup/object_names.h"
#include "server/backup/snapshot_object.h"
#include "server/kv/keyspace.h"

namespace tidemark::backup {
namespace {

constexpr uint64_t kSequence = 1;  // a generation has one snapshot
constexpr int kKeysPerList = 1000;
constexpr uint64_t kMaxRangeBytes = uint64_t{256} << 20;
// So many ranges may be begun before an older one is complete.
constexpr uint64_t kWindow = 16;

// All but the server's own bookkeeping.
kv::KeyRange backed_up_keys() {
  return {std::string(1, kv::kExpiryPrefix), kv::part_range(kv::kUserPrefix).end};
}

// Of one of the snapshot at `version`; nothing if it is none, or empty.
std::optional<std::string> last_key_of(const std::string& name, std::string_view bytes,
                                       const CommitPoint& version) {
  const auto range = SnapshotRangeReader::open(name, bytes, true);
  if (!range || (*range)->version() != version) return std::nullopt;
  std::optional<std::string> key;
  for (;;) {
    const Result<bool> more = (*range)->next();
    if (!more) return std::nullopt;
    if (!*more) return key;
    key = (*range)->key();
  }
}

}  // namespace

SnapshotUpload::SnapshotUpload(const Database& database, std::shared_ptr<Snapshot> snapshot,
                               int64_t timestamp_ms, ObjectStore& store, std::string prefix,
                               uint64_t object_bytes)
    : database_(database),
      snapshot_(std::move(snapshot)),
      timestamp_ms_(timestamp_ms),
      store_(store),
      prefix_(std::move(prefix)),
      object_bytes_(object_bytes) {}

// Ranges are written side by side, so one may be missing before others that are there: those behind the first
// gap are written again. So are the last ones before it: a store may have kept part of what was being
// written.
Status SnapshotUpload::resume() {
  MutexLock lock(scan_mutex_);
  kv::KeyRange left = backed_up_keys();
  const std::string folder = prefix_ + std::string(kSnapshotFolder);
  std::string start_after;
  bool gap = false;
  for (bool more = true; more && !gap;) {
    TM_ASSIGN(const ObjectPage page, store_.list(folder, start_after, kKeysPerList));
    for (const ObjectInfo& object : page.objects) {
      const auto name = parse_snapshot_name(std::string_view(object.key).substr(folder.size()));
      gap = !name || name->range != next_;
      if (gap) break;
      ++next_;
      start_after = object.key;
    }
    more = page.more;
  }
  next_ -= std::min(next_, kWindow);
  if (next_ > 0) {
    // Where it ends is told by what it holds.
    const std::string key = prefix_ + format_name(SnapshotName{kSequence, next_ - 1});
    TM_ASSIGN(const Object object, store_.get(key, kMaxRangeBytes));
    const auto last_key = last_key_of(key, object.bytes, version());
    if (last_key)
      left.start = *last_key + '\0';
    else
      next_ = 0;
  }
  scan_ = std::make_unique<kv::KeyspaceScan>(database_, *snapshot_, std::move(left));
  return {};
}

Result<std::optional<std::string>> SnapshotUpload::read_range(uint64_t& number) {
  if (ended_ || failed_) return std::nullopt;
  SnapshotRangeWriter writer(version(), object_bytes_);
  uint64_t entries = 0;
  while (writer.bytes() < object_bytes_) {
    TM_ASSIGN(const bool more, scan_->next());
    if (!more) {
      ended_ = true;
      break;
    }
    TM_TRY(writer.add(scan_->key(), scan_->versionstamp(), scan_->value()));
    ++entries;
  }
  if (entries == 0) return std::nullopt;
  entries_.fetch_add(entries, std::memory_order_relaxed);
  number = next_++;
  return writer.finish();
}

Result<bool> SnapshotUpload::run() {
  uint64_t number = 0;
  std::optional<std::string> range;
  {
    MutexLock lock(scan_mutex_);
    if (!writing_.empty() && next_ >= *writing_.begin() + kWindow) return false;
    auto read = read_range(number);
    failed_ = failed_ || !read;
    TM_ASSIGN(range, std::move(read));
    if (!range) return false;
    writing_.insert(number);
  }
  const auto put = store_.put(prefix_ + format_name(SnapshotName{kSequence, number}), *range);
  if (put) bytes_.fetch_add(range->size(), std::memory_order_relaxed);
  MutexLock lock(scan_mutex_);
  writing_.erase(number);
  failed_ = failed_ || !put;
  if (!put) return std::unexpected(put.error());
  return !ended_ && !failed_;
}

bool SnapshotUpload::done() const {
  MutexLock lock(scan_mutex_);
  return ended_ && writing_.empty() && !failed_;
}

uint64_t SnapshotUpload::ranges() const {
  MutexLock lock(scan_mutex_);
  return next_;
}

Status SnapshotUpload::remove_leftovers() {
  const std::string folder = prefix_ + std::string(kSnapshotFolder);
  const std::string last = prefix_ + format_name(SnapshotName{kSequence, ranges()});
  while (true) {
    // From the first that is too many: its own name is above this.
    std::string start_after = last;
    start_after.back() -= 1;
    TM_ASSIGN(const ObjectPage page, store_.list(folder, start_after, kKeysPerList));
    for (const ObjectInfo& object : page.objects) TM_TRY(store_.remove(object.key));
    if (!page.more) return {};
  }
}

}  // namespace tidemark::backup
