// Every round writes what was committed since the last one, up to the size of an object, and then looks
// whether the backup is still its own: so whoever takes it over and then lists the log sees all that the
// one before him could have called shipped.
//
// An object whose writing failed is written again with the same name and the same bytes: whether the first
// one arrived after all, even much later, makes no difference.
#include "server/backup/shipper.h"

#include <algorithm>
#include <functional>

#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/entropy.h"
#include "server/backup/log_object.h"
#include "server/backup/prune.h"

namespace tidemark::backup {
namespace {

constexpr int kObjectsPerRound = 8;
constexpr int64_t kFirstPauseUs = 1'000'000;
constexpr int64_t kLongestPauseUs = 60'000'000;
constexpr int64_t kAgeIntervalMs = 60'000;
constexpr int64_t kOwnedUs = 3'000'000;
constexpr int kKeysPerList = 1000;

Versionstamp just_below(Versionstamp stamp) {
  if (stamp.tail > 0) return {stamp.number, static_cast<uint16_t>(stamp.tail - 1)};
  return {stamp.number - 1, UINT16_MAX};
}

std::string seconds(int64_t us) {
  return std::to_string((us + 999'999) / 1'000'000) + " s";
}

// As Database::last_commit, but of what waits to be released, too.
Result<CommitPoint> last_durable(const Database& database, Versionstamp stamp) {
  TM_ASSIGN(CommitPoint last, database.last_commit(stamp, INT64_MAX));
  TM_TRY(database.visit_commits(last.stamp, stamp, [&](const CommitPoint& newest, uint32_t) {
    last = newest;
    return false;
  }));
  return last;
}

// What a generation begins with: head, unless history has begun above it and waits to be released.
Result<std::shared_ptr<Snapshot>> pin_newest(Database& database) {
  const Versionstamp begin = database.history_begin();
  if (begin <= database.head()) return database.pin_head();
  auto pinned = database.pin(begin);
  // It is about to be durable.
  if (!pinned) return fail(ErrorCode::kUnavailable, pinned.error().message);
  return pinned;
}

}  // namespace

Shipper::Shipper(Clock& clock, std::shared_ptr<ObjectStore> store, std::string prefix,
                 ShipperIdentity identity, const ShipperOptions& options, LogSink log)
    : clock_(clock),
      store_(std::move(store)),
      prefix_(std::move(prefix)),
      identity_(std::move(identity)),
      options_(options),
      log_(std::move(log)) {}

void Shipper::say(LogLevel level, const std::string& line) const {
  if (log_) log_(level, "backup of '" + identity_.name + "': " + line);
}

CommitPoint Shipper::shipped() const {
  MutexLock lock(mutex_);
  return shipped_;
}

bool Shipper::due(const Database& database) const {
  if (fenced_) return false;
  if (const auto upload = snapshot(); !failing_ && upload != nullptr && upload->done()) return true;
  if (clock_.monotonic_us() < due_us_) return false;
  return busy_ || shipped().stamp != database.durable();
}

bool Shipper::idle(const Database& database) const {
  return fenced_ || (!busy_ && shipped().stamp == database.durable());
}

std::shared_ptr<SnapshotUpload> Shipper::snapshot() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

void Shipper::snapshot_failed(const Error& error) {
  std::shared_ptr<SnapshotUpload> dropped;
  {
    MutexLock lock(mutex_);
    if (snapshot_ == nullptr) return;
    dropped.swap(snapshot_);
    status_.message = error.message;
  }
  say(LogLevel::kWarning, "writing the snapshot is tried again: " + error.message);
}

void Shipper::let_go(Database& database) {
  let_go_ = true;
  (void)database.hold(std::nullopt).has_value();
}

void Shipper::adopt(Database& database) const {
  if (superseded_) database.refuse_commits(status().message);
}

void Shipper::release() {
  drop_snapshot();
}

void Shipper::drop_snapshot() {
  // Its end may remove files: nobody need wait for that.
  std::shared_ptr<SnapshotUpload> dropped;
  MutexLock lock(mutex_);
  dropped.swap(snapshot_);
}

ShipperStatus Shipper::status() const {
  MutexLock lock(mutex_);
  ShipperStatus out = status_;
  out.shipped = shipped_;
  if (snapshot_ != nullptr) {
    out.snapshot_entries = snapshot_->entries();
    out.snapshot_bytes = snapshot_->bytes();
  }
  return out;
}

void Shipper::run(Database& database) {
  const int64_t begun_us = clock_.monotonic_us();
  const Status outcome = step(database);
  note(outcome);
  if (superseded_)
    database.refuse_commits(outcome ? "another server is the primary" : outcome.error().message);
  failing_ = !outcome.has_value();
  const int64_t next_us = begun_us + (options_.immediate && !busy_ ? 0 : options_.interval_us);
  due_us_ = outcome ? next_us : clock_.monotonic_us() + pause_us_;
}

void Shipper::note(const Status& outcome) {
  std::string line;
  LogLevel level = LogLevel::kInfo;
  {
    MutexLock lock(mutex_);
    bool failed = false;
    if (outcome) {
      pause_us_ = 0;
      if (!status_.message.empty() && snapshot_ == nullptr) {
        line = "goes on";
        status_.message.clear();
      }
      status_.last_success_ms = clock_.wall_us() / 1000;
    } else if (outcome.error().code != ErrorCode::kShutdown) {
      const bool temporary = outcome.error().code == ErrorCode::kUnavailable;
      pause_us_ =
          temporary ? std::min(std::max(kFirstPauseUs, 2 * pause_us_), kLongestPauseUs) : kLongestPauseUs;
      if (status_.message != outcome.error().message) {
        line = outcome.error().message;
        if (!fenced_) line += " (tried again in " + seconds(pause_us_) + ")";
        level = temporary ? LogLevel::kWarning : LogLevel::kError;
      }
      status_.message = outcome.error().message;
      failed = !temporary;
    }
    // Also after a failure: a generation may have begun that has no snapshot yet.
    status_.state = failed                     ? ShipperState::kFailed
                    : index_.reaches_the_end() ? ShipperState::kActive
                                               : ShipperState::kPending;
    if (attached_ && !index_.generations.empty()) {
      const Generation* newest = index_.newest_complete();
      status_.prefix = prefix_ + (newest != nullptr ? newest->id : index_.generations.back().id) + "/";
    }
  }
  if (!line.empty()) say(level, line);
}

Status Shipper::step(Database& database) {
  if (!attached_) TM_TRY(attach(database));
  bool more = true;
  for (int i = 0; i < kObjectsPerRound && more; ++i) {
    TM_ASSIGN(more, ship_log(database));
  }
  if (!index_.generations.back().complete) {
    const std::shared_ptr<SnapshotUpload> upload = snapshot();
    if (upload == nullptr)
      TM_TRY(start_snapshot(database));
    else if (upload->done())
      TM_TRY(finish_snapshot(database));
  }
  TM_TRY(age(database));
  busy_ = !index_.generations.back().complete;
  return {};
}

// ---------------------------------------------------------------------------------------------------------
// The backup as it is found

Status Shipper::attach(Database& database) {
  drop_snapshot();
  // What an attempt before this one wrote, and may not have heard of, is another's.
  session_ = identity_.session + "." + to_hex(random_bytes(4));
  const std::string key = prefix_ + std::string(kIndexName);
  Result<Object> object = store_->get(key, kMaxIndexBytes);
  if (!object && object.error().code != ErrorCode::kNotFound) return std::unexpected(object.error());
  if (!object) {
    TM_ASSIGN(const ObjectPage page, store_->list(prefix_, {}, 1));
    if (!page.objects.empty() && !removed_) {
      return fail(ErrorCode::kConflict, store_->describe() + " holds objects below " + prefix_ +
                                            " that are no backup of ours, such as " + page.objects[0].key +
                                            ": name another prefix");
    }
    index_ = {};
    index_tag_.clear();
    TM_TRY(begin_generation(database, removed_ ? "the backup had been removed" : "the first backup", false));
    attached_ = was_attached_ = true;
    return {};
  }
  Result<Index> found = decode_index(object->bytes);
  if (!found) return fail_within(store_->describe() + "/" + key, found.error());
  if (found->database != identity_.database) {
    return fail(ErrorCode::kConflict, store_->describe() + "/" + key + " is of another database, " +
                                          found->database + ": name another prefix");
  }
  if (found->writer.store != identity_.store || (was_attached_ && !is_ours(found->writer)))
    return fence(*found);
  index_tag_ = object->tag;
  Index ours = *found;
  ours.name = identity_.name;
  ours.writer = {identity_.store, session_, clock_.wall_us() / 1000};
  TM_TRY(write_index(std::move(ours)));
  if (index_.generations.empty())
    TM_TRY(begin_generation(database, "the first backup", false));
  else
    TM_TRY(find_position(database));
  attached_ = was_attached_ = true;
  return {};
}

bool Shipper::is_ours(const Writer& writer) const {
  return writer.store == identity_.store && writer.session.starts_with(identity_.session + ".");
}

Status Shipper::fence(const Index& theirs) {
  fenced_ = was_attached_;
  const bool same_store = theirs.writer.store == identity_.store;
  superseded_ = !same_store;
  return fail(ErrorCode::kConflict, (same_store ? "another run of this server, or a copy of its store,"
                                                : "another server (store " + theirs.writer.store + ")") +
                                        " writes the backup in " + store_->describe() + "/" + prefix_ +
                                        " since " + format_time(theirs.writer.since_ms) +
                                        ": this one does not");
}

Result<std::vector<NamedLogObject>> Shipper::log_objects(uint64_t from, int keys) {
  return list_log(*store_, generation_prefix(), generation_prefix() + log_start(from), keys);
}

// Log objects are numbered, so the highest number is found by doubling, then halving. From there backwards:
// objects that count for nothing are passed over, and one that was cut off is noted.
Result<Shipper::LogEnd> Shipper::end_of_log() {
  LogEnd end;
  const auto try_from = [&](uint64_t from) -> Result<bool> {
    TM_ASSIGN(const auto objects, log_objects(from, 1));
    if (!objects.empty()) end.number = objects.front().name.sequence;
    return !objects.empty();
  };
  uint64_t step = 1;
  TM_ASSIGN(bool found, try_from(1));
  for (; found; step *= 2) {
    TM_ASSIGN(found, try_from(end.number + step));
  }
  for (; end.number > 0 && step > 0; step /= 2) TM_TRY(try_from(end.number + step));
  for (uint64_t number = end.number; number > 0; --number) {
    TM_ASSIGN(auto objects, log_objects(number, kKeysPerList));
    std::erase_if(objects, [&](const NamedLogObject& object) { return object.name.sequence != number; });
    std::ranges::sort(objects, std::greater(), [](const NamedLogObject& object) { return object.name.last; });
    for (const auto& [info, name] : objects) {
      const std::string& key = info.key;
      TM_ASSIGN(const Object object, store_->get(key, kMaxObjectBytes));
      const Result<Versionstamp> after = log_object_after(object.bytes);
      LogReplay replay({after.value_or(Versionstamp()), 0}, index_.generations.back().sessions);
      std::vector<ReplayCommit> commits;
      const Status added = replay.add(key, name, object.bytes, commits);
      if (!after || (!added && added.error().code == ErrorCode::kCorruption)) {
        end.torn = name;
      } else if (added && !commits.empty()) {
        end.last = name;
        return end;
      }
    }
  }
  return end;
}

CommitPoint Shipper::log_begin(const Database& database, Versionstamp snapshot) {
  // Readers want to find the snapshot's own commit in the log, if that can still be told.
  const bool told = snapshot > database.history_begin() && snapshot != Versionstamp::min();
  return {told ? just_below(snapshot) : snapshot, 0};
}

Status Shipper::find_position(Database& database) {
  const Generation newest = index_.generations.back();
  TM_ASSIGN(const LogEnd end, end_of_log());
  const std::optional<LogName>& last = end.last;
  next_object_ = end.number + 1;
  trying_.reset();
  if (end.torn) {
    // Its writing was interrupted, and the store kept what had come: it is written again, if that is known.
    const Versionstamp torn = end.torn->last.stamp;
    TM_ASSIGN(const CommitPoint commit, last_durable(database, torn));
    if (commit.stamp == torn && end.torn->sequence == end.number) {
      trying_ = torn;
      next_object_ = end.number;
    } else {
      TM_TRY(store_->remove(generation_prefix() + format_name(*end.torn)));
    }
  }
  CommitPoint position{last ? last->last.stamp : newest.snapshot, 0};
  const auto start_over = [&](const std::string& reason) {
    say(LogLevel::kWarning, "a new generation begins: " + reason);
    return begin_generation(database, reason, false);
  };
  if (position.stamp > database.durable()) {
    return start_over("the database is older than its backup, which has come to " + position.stamp.hex());
  }
  if (position.stamp < database.history_begin())
    return start_over("what was committed since " + position.stamp.hex() + " is no longer held");
  TM_ASSIGN(const CommitPoint commit, last_durable(database, position.stamp));
  position.timestamp_ms = commit.timestamp_ms;
  if (last && commit.stamp != position.stamp && position.stamp != database.history_begin())
    return start_over("the backup has commits that the database does not have, up to " +
                      position.stamp.hex());
  if (!last) position.stamp = log_begin(database, newest.snapshot).stamp;
  Index index = index_;
  index.generations.back().sessions.push_back({session_, position.stamp});
  TM_TRY(write_index(std::move(index)));
  set_position(database, position);
  if (!newest.complete && newest.snapshot < database.history_begin())
    return start_over("the snapshot was not finished, and its moment is no longer held");
  return {};
}

void Shipper::set_position(Database& database, const CommitPoint& position) {
  {
    MutexLock lock(mutex_);
    shipped_ = position;
  }
  move_on(database);
}

void Shipper::move_on(Database& database) const {
  const Versionstamp to = shipped().stamp;
  // A log without the snapshot that it goes on from restores nothing.
  if (index_.reaches_the_end()) database.release(to);
  // If it fails, so will the next look at the log, which then sees to it.
  if (!let_go_) (void)database.hold(to).has_value();
}

// ---------------------------------------------------------------------------------------------------------
// The index

Status Shipper::write_index(Index index) {
  const PutCondition condition =
      index_tag_.empty() ? PutCondition::absent() : PutCondition::unchanged(index_tag_);
  const std::string key = prefix_ + std::string(kIndexName);
  Result<std::string> tag = store_->put(key, encode(index), condition);
  if (!tag && tag.error().code == ErrorCode::kConflict) {
    // Somebody else was faster. Who it is stands in the object.
    TM_TRY(check_ownership());
    return std::unexpected(tag.error());
  }
  if (!tag) {
    // It may have happened, or still happen: only once it is written anew can it not any more.
    attached_ = false;
    return std::unexpected(tag.error());
  }
  index_ = std::move(index);
  index_tag_ = std::move(*tag);
  return {};
}

Status Shipper::check_ownership() {
  const std::string key = prefix_ + std::string(kIndexName);
  Result<std::optional<Object>> found = store_->get_if_changed(key, index_tag_, kMaxIndexBytes);
  if (!found && found.error().code == ErrorCode::kNotFound) {
    attached_ = false;
    removed_ = true;
    return fail(ErrorCode::kUnavailable,
                store_->describe() + "/" + key + " is gone: somebody has removed the backup, or part of it");
  }
  TM_ASSIGN(std::optional<Object> object, std::move(found));
  owned_us_ = clock_.monotonic_us();
  if (!object) return {};
  TM_ASSIGN(Index theirs, decode_index(object->bytes));
  if (theirs.writer.store != identity_.store || theirs.writer.session != session_) {
    attached_ = false;
    if (!is_ours(theirs.writer)) return fence(theirs);
    return fail(ErrorCode::kUnavailable, store_->describe() + "/" + key + " was written late");
  }
  index_tag_ = std::move(object->tag);
  index_ = std::move(theirs);
  return {};
}

void Shipper::remove_stray(const std::string& key, Versionstamp after) {
  const std::string index_key = prefix_ + std::string(kIndexName);
  const auto object = store_->get(index_key, kMaxIndexBytes);
  Result<Index> theirs = object ? decode_index(object->bytes) : std::unexpected(object.error());
  if (!theirs) return;
  const Generation* const mine = theirs->find(index_.generations.back().id);
  if (mine == nullptr) return;
  const Generation* const next = theirs->next_of(mine->id);
  bool stray = next != nullptr && next->continues && next->snapshot <= after;
  const auto session = std::ranges::find(mine->sessions, session_, &WriterSession::id);
  if (session != mine->sessions.end() && session + 1 != mine->sessions.end())
    stray = stray || (session + 1)->after <= after;
  if (stray) (void)store_->remove(key).has_value();
}

// ---------------------------------------------------------------------------------------------------------
// Generations

Status Shipper::begin_generation(Database& database, const std::string& reason, bool continues) {
  TM_ASSIGN(const std::shared_ptr<Snapshot> newest, pin_newest(database));
  Generation next;
  next.snapshot = continues ? shipped().stamp : newest->versionstamp();
  next.continues = continues;
  next.began_ms = clock_.wall_us() / 1000;
  next.id = next_generation_id(index_);
  next.reason = reason;
  Index index = index_;
  index.database = identity_.database;
  index.name = identity_.name;
  if (index.writer.session != session_) index.writer = {identity_.store, session_, next.began_ms};
  if (!index.generations.empty()) index.generations.back().ended_ms = next.began_ms;
  TM_ASSIGN(const CommitPoint commit, last_durable(database, next.snapshot));
  const CommitPoint begin{log_begin(database, next.snapshot).stamp, commit.timestamp_ms};
  next.sessions = {{session_, begin.stamp}};
  index.generations.push_back(next);
  TM_TRY(write_index(std::move(index)));
  drop_snapshot();
  next_object_ = 1;
  trying_.reset();
  set_position(database, begin);
  say(LogLevel::kInfo, "generation " + next.id + " begins (" + reason + ")");
  return start_snapshot(database);
}

Status Shipper::start_snapshot(Database& database) {
  const Generation& newest = index_.generations.back();
  Result<std::shared_ptr<Snapshot>> pin = database.pin(newest.snapshot);
  if (!pin) return begin_generation(database, "the moment of the snapshot is no longer held", false);
  TM_ASSIGN(const CommitPoint commit, last_durable(database, newest.snapshot));
  auto upload = std::make_shared<SnapshotUpload>(database, std::move(*pin), commit.timestamp_ms, *store_,
                                                 generation_prefix(), options_.snapshot_object_bytes);
  TM_TRY(upload->resume());
  busy_ = true;
  // That of a small database is complete with this, and needs nobody else.
  TM_TRY(upload->run());
  {
    MutexLock lock(mutex_);
    snapshot_ = upload;
  }
  return upload->done() ? finish_snapshot(database) : Status();
}

Status Shipper::finish_snapshot(Database& database) {
  const std::shared_ptr<SnapshotUpload> upload = snapshot();
  TM_TRY(upload->remove_leftovers());
  TM_TRY(store_->put(generation_prefix() + std::string(kDifferential), upload->version().stamp.hex()));
  Index index = index_;
  index.generations.back().complete = true;
  index.generations.back().ranges = upload->ranges();
  TM_TRY(write_index(std::move(index)));
  say(LogLevel::kInfo, "the snapshot of generation " + index_.generations.back().id +
                           " is complete: " + std::to_string(upload->entries()) + " entries, " +
                           std::to_string(upload->bytes()) + " bytes");
  drop_snapshot();
  move_on(database);
  MutexLock lock(mutex_);
  status_.snapshot_entries = upload->entries();
  status_.snapshot_bytes = upload->bytes();
  return {};
}

// ---------------------------------------------------------------------------------------------------------
// The log

Result<bool> Shipper::ship_log(Database& database) {
  const CommitPoint from = shipped();
  const Versionstamp to = trying_.value_or(database.durable());
  if (from.stamp >= to) return false;
  const auto lost = [&] {
    say(LogLevel::kWarning,
        "a new generation begins: what was committed since " + from.stamp.hex() + " is no longer held");
    return begin_generation(database, "the log had a gap: history was dropped before it was shipped", false);
  };
  const Result<std::shared_ptr<Snapshot>> pin = database.pin(from.stamp);
  if (!pin) {
    TM_TRY(lost());
    return true;
  }
  // What is busy looks after each object; who was idle must not be surprised by a successor.
  if (clock_.monotonic_us() - owned_us_ > kOwnedUs) TM_TRY(check_ownership());
  LogObjectWriter writer(from.stamp, session_, options_.log_object_bytes);
  TM_TRY(database.visit_writes(from.stamp, to, writer));
  // Something that begins history anew (an import) may have come in between.
  if (database.history_begin() > from.stamp) {
    TM_TRY(lost());
    return true;
  }
  if (writer.empty()) {
    set_position(database, {to, from.timestamp_ms});
    return false;
  }
  const Result<LogObject> object = writer.finish();
  if (!object && object.error().code == ErrorCode::kInvalidArgument) {
    say(LogLevel::kWarning, "a new generation begins: " + object.error().message);
    TM_TRY(begin_generation(database, object.error().message, false));
    return true;
  }
  if (!object) return std::unexpected(object.error());
  trying_ = object->last_commit.stamp;
  const std::string key =
      generation_prefix() + format_name(LogName{next_object_, object->first, object->last});
  TM_TRY(put_log_object(key, object->bytes));
  if (const Status owned = check_ownership(); !owned) {
    if (owned.error().code == ErrorCode::kConflict) remove_stray(key, from.stamp);
    return std::unexpected(owned.error());
  }
  ++next_object_;
  trying_.reset();
  let_go_ = false;
  set_position(database, object->last_commit);
  MutexLock lock(mutex_);
  ++status_.log_objects;
  status_.log_bytes += object->bytes.size();
  return true;
}

// What an earlier attempt sent may arrive whenever it likes: it finds the object there, and changes nothing.
Status Shipper::put_log_object(const std::string& key, const std::string& bytes) {
  Result<std::string> put = store_->put(key, bytes, PutCondition::absent());
  if (put || put.error().code != ErrorCode::kConflict) return put ? Status() : std::unexpected(put.error());
  TM_ASSIGN(const Object there, store_->get(key, kMaxObjectBytes));
  if (there.bytes == bytes) return {};
  // Cut off, or of an earlier session.
  put = store_->put(key, bytes, PutCondition::unchanged(there.tag));
  if (put) return {};
  // Something else has arrived meanwhile.
  const bool again = put.error().code == ErrorCode::kConflict;
  return fail(again ? ErrorCode::kUnavailable : put.error().code, put.error().message);
}

// ---------------------------------------------------------------------------------------------------------
// What comes of age

Status Shipper::age(Database& database) {
  const int64_t now_ms = clock_.wall_us() / 1000;
  if (now_ms - looked_at_age_ms_ < kAgeIntervalMs) return {};
  const Generation& newest = index_.generations.back();
  if (newest.complete && now_ms - newest.began_ms >= options_.generation_age_ms &&
      shipped().stamp > newest.snapshot)
    TM_TRY(begin_generation(database, "the one before has come of age", true));
  TM_TRY(prune());
  looked_at_age_ms_ = now_ms;
  return {};
}

Status Shipper::prune() {
  Index index = index_;
  if (mark_older(index, clock_.wall_us() / 1000 - options_.keep_ms)) TM_TRY(write_index(index));
  const auto old = std::ranges::find(index.generations, true, &Generation::pruned);
  if (old == index.generations.end()) return {};
  TM_ASSIGN(const RemovedSome removed, remove_some(*store_, prefix_ + old->id + "/"));
  // The rest next time, so that the log does not wait for it.
  if (!removed.all) return {};
  say(LogLevel::kInfo, "the old generation " + old->id + " was removed");
  index.generations.erase(old);
  return write_index(std::move(index));
}

}  // namespace tidemark::backup
