#include "server/backup/snapshot_load.h"

#include <algorithm>

#include "server/backup/object_fetch.h"
#include "server/backup/snapshot_object.h"

namespace tidemark::backup {
namespace {

// Done, and not given out yet because of one before them: what they remember of their keys takes memory.
constexpr size_t kStretchesAhead = 16;
// The store is slow when it takes so many times as long as the work with what it gave.
constexpr int64_t kSlowStore = 4;

}  // namespace

SnapshotLoad::SnapshotLoad(Engine& engine, Database& database, ObjectStore& store,
                           std::vector<ObjectInfo> ranges, Options options)
    : engine_(engine),
      database_(database),
      store_(store),
      ranges_(std::move(ranges)),
      options_(std::move(options)) {
  MutexLock lock(mutex_);
  for (size_t begin = 0; begin < ranges_.size();) {
    Stretch stretch{begin, begin};
    for (uint64_t sum = 0; stretch.end < ranges_.size() && sum < options_.stretch_bytes; ++stretch.end) {
      sum += ranges_[stretch.end].size;
      stretch.bytes = std::max(stretch.bytes, ranges_[stretch.end].size);
    }
    begin = stretch.end;
    stretches_.push_back(std::move(stretch));
  }
  start();
}

SnapshotLoad::~SnapshotLoad() {
  MutexLock lock(mutex_);
  stopping_ = true;
  while (running_ > 0) changed_.wait(mutex_);
}

std::optional<CommitPoint> SnapshotLoad::version() {
  MutexLock lock(mutex_);
  return other_kind_ ? std::nullopt : version_;
}

bool SnapshotLoad::has_to_wait() const {
  return given_ < stretches_.size() && !stretches_[given_].done && !stopping_;
}

bool SnapshotLoad::stopping() {
  MutexLock lock(mutex_);
  return stopping_;
}

void SnapshotLoad::start() {
  while (begun_ < stretches_.size() && begun_ < given_ + kStretchesAhead && !stopping_ &&
         (running_ == 0 || bytes_ahead_ + stretches_[begun_].bytes <= ObjectFetch::kAheadBytes)) {
    Stretch& stretch = stretches_[begun_++];
    bytes_ahead_ += stretch.bytes;
    ++running_;
    engine_.executor().post(Lane::kBackup, [this, &stretch] {
      std::unique_ptr<Ingest> ingest = database_.begin_ingest({.starts_history = true});
      Status loaded = load(stretch, *ingest);
      MutexLock lock(mutex_);
      if (!loaded) {
        if (status_) status_ = std::move(loaded);
        stopping_ = true;
      }
      stretch.ingest = std::move(ingest);
      stretch.done = true;
      bytes_ahead_ -= stretch.bytes;
      --running_;
      start();
      changed_.notify_all();
    });
  }
}

Result<std::unique_ptr<Ingest>> SnapshotLoad::next() {
  for (bool waits = true; waits;) {
    uint64_t objects, bytes;
    {
      MutexLock lock(mutex_);
      while (has_to_wait() && objects_ == reported_) changed_.wait(mutex_);
      waits = has_to_wait();
      objects = objects_;
      bytes = bytes_;
    }
    if (options_.progress && objects != reported_) options_.progress(objects, bytes);
    reported_ = objects;
  }
  MutexLock lock(mutex_);
  TM_TRY(status_);
  if (other_kind_ || given_ == stretches_.size()) return nullptr;
  std::unique_ptr<Ingest> ingest = std::move(stretches_[given_++].ingest);
  start();
  return ingest;
}

Status SnapshotLoad::load(const Stretch& stretch, Ingest& ingest) {
  for (size_t i = stretch.begin; i < stretch.end; ++i) {
    if (stopping()) return {};
    TM_ASSIGN(std::optional<std::string> bytes, options_.kept.find(ranges_[i]));
    const bool kept = bytes.has_value();
    if (!kept) {
      TM_ASSIGN(bytes, fetch(ranges_[i]));
    }
    const int64_t begin_us = engine_.clock().monotonic_us();
    TM_TRY(add_entries(ranges_[i], *bytes, ingest));
    if (i + 1 == stretch.end) TM_TRY(ingest.seal());
    const int64_t worked_us = engine_.clock().monotonic_us() - begin_us;
    MutexLock lock(mutex_);
    // Of what was kept the store had no part: it says nothing of how the two compare.
    if (!kept) worked_us_ += worked_us;
    ++objects_;
    bytes_ += bytes->size();
    changed_.notify_all();
  }
  return {};
}

// Keeps what it read only if the store is clearly what is waited for: writing everything twice would take
// longer than reading some of it again.
Result<std::string> SnapshotLoad::fetch(const ObjectInfo& range) {
  const int64_t begin_us = engine_.clock().monotonic_us();
  TM_ASSIGN(Object object, store_.get(range.key, range.size + ObjectFetch::kSlackBytes));
  const int64_t waited_us = engine_.clock().monotonic_us() - begin_us;
  bool slow;
  {
    MutexLock lock(mutex_);
    waited_us_ += waited_us;
    slow = objects_ > 0 && waited_us_ / kSlowStore > worked_us_;
  }
  if (slow) options_.kept.keep(range, object.bytes);
  return std::move(object.bytes);
}

Status SnapshotLoad::add_entries(const ObjectInfo& range, std::string_view bytes, Ingest& ingest) {
  TM_ASSIGN(const auto reader, SnapshotRangeReader::open(range.key, bytes, options_.indexed));
  {
    MutexLock lock(mutex_);
    if (!reader->version()) {
      other_kind_ = stopping_ = true;
      return {};
    }
    if (!version_) version_ = reader->version();
    if (version_ != reader->version())
      return fail(ErrorCode::kCorruption, range.key + " is of another snapshot than the others");
  }
  for (;;) {
    TM_ASSIGN(const bool more, reader->next());
    if (!more) return {};
    const Status added = ingest.add(reader->key(), reader->stamp(), reader->value());
    if (!added) return fail_within("the snapshot object " + range.key, added.error());
  }
}

}  // namespace tidemark::backup
