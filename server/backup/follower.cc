// A snapshot of ours is one version, in the order of the engine's keys: it goes straight into segments. Of
// any other the order is not known, and it is consistent only together with the log: it is first gathered in
// a database of its own, key by key, and read from there in order.
#include "server/backup/follower.h"

#include <algorithm>
#include <boost/json.hpp>
#include <span>

#include "engine/base/time_text.h"
#include "engine/io/remove_folder.h"
#include "server/backup/object_fetch.h"
#include "server/backup/replay.h"
#include "server/backup/snapshot_object.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"

namespace tidemark::backup {
namespace {

namespace json = boost::json;

// The mark's key; below those of the other parts of the keyspace.
std::string mark_key() {
  return std::string(1, kv::kBookkeepingPrefix) + "backup";
}

constexpr uint64_t kScratchCommitBytes = uint64_t{1} << 20;

bool is_beyond(const CommitPoint& commit, const std::optional<kv::MomentName>& until) {
  if (!until) return false;
  if (const auto* stamp = std::get_if<Versionstamp>(&*until)) return commit.stamp > *stamp;
  return commit.timestamp_ms > std::get<kv::TimeMs>(*until).ms;
}

Status put_all(Database& database, SnapshotRangeReader& range) {
  for (bool more = true; more;) {
    const CommitOutcome outcome = commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
      for (uint64_t bytes = 0; bytes < kScratchCommitBytes;) {
        TM_ASSIGN(more, range.next());
        if (!more) break;
        const auto stamp = range.stamp().bytes();
        t.put(range.key(), std::string(stamp.data(), stamp.size()).append(range.value()));
        bytes += range.key().size() + range.value().size();
      }
      return CommitRequest::Decision::kCommit;
    });
    TM_TRY(outcome.status);
  }
  return {};
}

Status put_all(Database& database, const ReplayCommit& commit_of_log) {
  const auto stamp = commit_of_log.point.stamp.bytes();
  const CommitOutcome outcome = commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
    for (const ReplayWrite& write : commit_of_log.writes) {
      if (write.value)
        t.put(write.key, std::string(stamp.data(), stamp.size()) + *write.value);
      else
        t.erase(write.key);
    }
    return CommitRequest::Decision::kCommit;
  });
  return outcome.status;
}

}  // namespace

Result<std::unique_ptr<Follower>> Follower::open(Engine& engine, Database& database, ObjectStore& store,
                                                 const std::string& prefix, const FollowerOptions& options) {
  TM_ASSIGN(Source source, Source::open(store, prefix));
  return std::unique_ptr<Follower>(new Follower(engine, database, std::move(source), options));
}

void Follower::report() {
  if (options_.progress) options_.progress(progress_);
}

std::string Follower::mark_value(std::string_view log_key) const {
  return json::serialize(json::object{{"source", mark_.source},
                                      {"generation", mark_.generation},
                                      {"log_key", log_key},
                                      {"line", database_.id().text()}});
}

Result<std::optional<Follower::Mark>> Follower::read_mark(const Database& database) {
  TM_ASSIGN(const auto found, database.read()->get(mark_key()));
  if (!found) return std::nullopt;
  json::error_code error;
  const std::string_view bytes = found->bytes();
  const json::value value = json::parse({bytes.data(), bytes.size()}, error);
  const auto text = [&](std::string_view name) {
    const json::value* member = error || !value.is_object() ? nullptr : value.get_object().if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
  };
  if (text("line") != database.id().text()) return std::nullopt;
  return Mark{text("source"), text("generation"), text("log_key")};
}

Result<std::string> Follower::followed_by(const Database& database) {
  TM_ASSIGN(const std::optional<Mark> mark, read_mark(database));
  return mark ? mark->source : std::string();
}

Status Follower::load_mark() {
  TM_ASSIGN(const std::optional<Mark> mark, read_mark(database_));
  if (!mark) return fail(ErrorCode::kConflict, "the database holds something that came from no backup");
  mark_ = *mark;
  in_database_ = mark_.generation;
  if (mark_.source == source_name()) return {};
  return fail(ErrorCode::kConflict, "the database follows the backup in " + mark_.source + ", not that in " +
                                        source_name() + ": name that one, or begin with an empty folder");
}

Status Follower::begin(const std::optional<kv::MomentName>& until) {
  if (database_.head() == Versionstamp::min()) {
    TM_ASSIGN(const std::string generation, choose_generation(until));
    TM_TRY(load_snapshot(generation));
  } else {
    TM_TRY(load_mark());
  }
  listed_ = mark_.log_key;
  replay_ = LogReplay({database_.head(), database_.head_timestamp_ms()}, sessions());
  return {};
}

Result<std::string> Follower::choose_generation(const std::optional<kv::MomentName>& until) const {
  if (!source_.index()) return std::string();
  const std::vector<Generation>& all = source_.index()->generations;
  const auto serves = [&](const Generation& one) {
    return one.complete && !one.pruned && !is_beyond({one.snapshot, one.began_ms}, until);
  };
  const auto found = std::find_if(all.rbegin(), all.rend(), serves);
  if (found != all.rend()) return found->id;
  if (source_.index()->newest_complete() == nullptr)
    return fail(ErrorCode::kUnavailable, "the first snapshot in " + source_name() + " is not complete yet");
  const auto first = std::ranges::find_if(all, [](const Generation& g) { return g.complete && !g.pruned; });
  return fail(ErrorCode::kBeyondHorizon, "the backup in " + source_name() + " begins at " +
                                             format_time(first->began_ms) + " (" + first->snapshot.hex() +
                                             "): that moment lies before");
}

// ---------------------------------------------------------------------------------------------------------
// The snapshot

Status Follower::load_snapshot(const std::string& generation) {
  TM_ASSIGN(const std::optional<Versionstamp> target, source_.differential(generation));
  if (!target) {
    return fail(ErrorCode::kUnavailable,
                "the first snapshot in " + source_name() + " is not complete yet: there is no object " +
                    source_.generation_prefix(generation) + std::string(kDifferential));
  }
  TM_ASSIGN(const std::vector<ObjectInfo> ranges, source_.snapshot(generation));
  progress_ = {};
  progress_.in_snapshot = true;
  progress_.objects_total = ranges.size();
  for (const ObjectInfo& range : ranges) progress_.bytes_total += range.size;
  mark_ = {source_name(), generation, {}};
  TM_ASSIGN(const bool ordered, load_ordered(generation, ranges));
  if (!ordered) TM_TRY(load_any(generation, ranges, *target));
  progress_.in_snapshot = false;
  report();
  // What was kept has been of use.
  (void)remove_folder(engine_.file_system(), options_.scratch_folder).has_value();
  return engine_.file_system().create_dir(options_.scratch_folder);
}

CommitOutcome Follower::publish(Ingest& ingest, const CommitPoint& last) {
  // Nothing has ever been written: there is nothing to publish, and no versionstamp for it.
  if (last.stamp == Versionstamp::min()) return {};
  CommitOutcome outcome = ingest.publish(last);
  if (outcome.status) in_database_ = mark_.generation;
  return outcome;
}

Result<bool> Follower::load_ordered(const std::string& generation, const std::vector<ObjectInfo>& ranges) {
  const Generation* const known = source_.index() ? source_.index()->find(generation) : nullptr;
  if (ranges.empty() && known == nullptr) return false;
  if (known != nullptr && known->ranges != ranges.size())
    return fail(ErrorCode::kCorruption, "the snapshot in " + source_.generation_prefix(generation) + " has " +
                                            std::to_string(ranges.size()) + " objects, and should have " +
                                            std::to_string(known->ranges));
  SnapshotLoad load(engine_, database_, source_.store(), ranges,
                    {.indexed = known != nullptr,
                     .stretch_bytes = options_.stretch_bytes,
                     .kept = KeptObjects(engine_.file_system(), options_.scratch_folder, known != nullptr),
                     .progress = [this](uint64_t objects, uint64_t bytes) {
                       progress_.objects = objects;
                       progress_.bytes = bytes;
                       report();
                     }});
  const std::unique_ptr<Ingest> whole = database_.begin_ingest({.starts_history = true});
  CommitPoint version{known != nullptr ? known->snapshot : Versionstamp(), 0};
  for (bool first = true;; first = false) {
    TM_ASSIGN(std::unique_ptr<Ingest> stretch, load.next());
    if (!ranges.empty() && !load.version()) return false;
    version = load.version().value_or(version);
    if (first && version.stamp != Versionstamp::min())
      TM_TRY(whole->add(mark_key(), version.stamp, mark_value(mark_.log_key)));
    if (stretch == nullptr) break;
    if (const Status appended = whole->append(std::move(stretch)); !appended)
      return fail_within("the snapshot in " + source_.generation_prefix(generation), appended.error());
  }
  TM_TRY(publish(*whole, version).status);
  return true;
}

Status Follower::load_any(const std::string& generation, const std::vector<ObjectInfo>& ranges,
                          Versionstamp target) {
  FileSystem& files = engine_.file_system();
  const std::string folder = options_.scratch_folder + "/gathered";
  TM_TRY(remove_folder(files, folder));
  DatabaseOptions scratch_options;
  scratch_options.retention = Retention::none();
  scratch_options.durability = Durability::kUnsynced;
  TM_ASSIGN(std::unique_ptr<Database> scratch, Database::open(engine_, folder, scratch_options));
  progress_.objects = progress_.bytes = 0;
  ObjectFetch fetch(engine_.executor(), source_.store(), ranges,
                    KeptObjects(files, options_.scratch_folder, false));
  for (;;) {
    TM_ASSIGN(const auto fetched, fetch.next());
    if (!fetched) break;
    TM_ASSIGN(const auto range, SnapshotRangeReader::open(fetched->info.key, fetched->bytes, false));
    TM_TRY(put_all(*scratch, *range));
    ++progress_.objects;
    progress_.bytes += fetched->bytes.size();
    report();
  }
  TM_ASSIGN(const CommitPoint last, replay_until(*scratch, target));
  const std::unique_ptr<Ingest> ingest = database_.begin_ingest({.starts_history = true});
  if (last.stamp != Versionstamp::min())
    TM_TRY(ingest->add(mark_key(), last.stamp, mark_value(mark_.log_key)));
  {
    const std::shared_ptr<Snapshot> pin = scratch->pin_head();
    kv::KeyspaceScan scan(*scratch, *pin, {});
    for (;;) {
      TM_ASSIGN(const bool more, scan.next());
      if (!more) break;
      const Versionstamp stamp = Versionstamp::from_bytes(scan.value().data());
      TM_TRY(ingest->add(scan.key(), stamp, scan.value().substr(Versionstamp::kBytes)));
    }
  }
  TM_TRY(publish(*ingest, last).status);
  scratch.reset();
  return remove_folder(files, folder);
}

// Up to the first commit at or above `target`, as denokv does it.
Result<CommitPoint> Follower::replay_until(Database& scratch, Versionstamp target) {
  LogReplay replay({}, std::nullopt);
  CommitPoint last{target, 0};
  std::vector<ReplayCommit> commits;
  std::string start_after;
  for (;;) {
    TM_ASSIGN(const auto page, source_.log(mark_.generation, start_after));
    if (page.empty()) return last;
    std::vector<ObjectInfo> objects;
    for (const NamedLogObject& one : page) objects.push_back(one.info);
    ObjectFetch fetch(engine_.executor(), source_.store(), objects);
    for (size_t at = 0;;) {
      TM_ASSIGN(const auto fetched, fetch.next());
      if (!fetched) break;
      commits.clear();
      TM_TRY(replay.add(fetched->info.key, page[at++].name, fetched->bytes, commits));
      for (const ReplayCommit& one : commits) {
        TM_TRY(put_all(scratch, one));
        last.timestamp_ms = one.point.timestamp_ms;
        if (one.point.stamp >= target) return one.point;
      }
      if (!replay.inside_commit()) mark_.log_key = fetched->info.key;
      ++progress_.objects;
      progress_.bytes += fetched->bytes.size();
      report();
    }
    start_after = objects.back().key;
  }
}

// ---------------------------------------------------------------------------------------------------------
// The log

Status Follower::apply(std::vector<ReplayCommit>& commits) {
  if (commits.empty()) return {};
  if (in_database_ != mark_.generation && commits.size() > 1) {
    // Perhaps only some of them become durable, and the mark that is there does not tell of this generation.
    commits.front().writes.push_back({mark_key(), mark_value({})});
  }
  commits.back().writes.push_back({mark_key(), mark_value(mark_.log_key)});
  TM_TRY(replay(database_, commits));
  in_database_ = mark_.generation;
  if (options_.applied) options_.applied(commits);
  progress_.commits += commits.size();
  report();
  return {};
}

std::optional<std::vector<WriterSession>> Follower::sessions() const {
  if (!source_.index()) return std::nullopt;
  const Generation* const current = source_.index()->find(mark_.generation);
  return current == nullptr ? std::vector<WriterSession>() : current->sessions;
}

// Of a generation that the next one continues, what lies behind that one's snapshot counts for nothing: it
// was written by a server that was no longer the primary.
std::optional<Versionstamp> Follower::end_of_generation() const {
  if (!source_.index()) return std::nullopt;
  const Generation* const next = source_.index()->next_of(mark_.generation);
  if (next == nullptr || !next->continues) return std::nullopt;
  return next->snapshot;
}

// The last object of a log may be there in part only, if its writing was interrupted: it is taken for not
// written yet. Anywhere else it is damage.
Status Follower::accept_torn_end(const std::string& key, const std::string& bytes, const Error& error) {
  TM_ASSIGN(const auto behind, source_.log(mark_.generation, key));
  if (!behind.empty()) {
    // Or it has been written again meanwhile.
    TM_ASSIGN(const Object now, source_.store().get(key, kMaxObjectBytes));
    return now.bytes == bytes ? std::unexpected(error) : Status();
  }
  if (torn_end_ != error.message && options_.log)
    options_.log(LogLevel::kWarning, "the log ends before its last object: " + error.message);
  torn_end_ = error.message;
  return {};
}

Result<uint64_t> Follower::pull(const std::optional<kv::MomentName>& until) {
  uint64_t taken = 0;
  std::vector<ReplayCommit> commits;
  passed_ = false;
  if (source_.index()) {
    TM_TRY(source_.refresh());
    replay_ = LogReplay(replay_.last(), sessions());
  }
  for (;;) {
    const std::optional<Versionstamp> end = end_of_generation();
    TM_ASSIGN(const auto page, source_.log(mark_.generation, listed_));
    std::vector<NamedLogObject> wanted;
    std::vector<ObjectInfo> objects;
    bool ended = end && database_.head() >= *end;
    for (const NamedLogObject& one : page) {
      // What the database has need not be read, unless a commit goes on in it that began before.
      const bool known = one.name.last.stamp <= database_.head() && one.name.last.ends_commit();
      if (ended || (known && wanted.empty() && !replay_.inside_commit())) continue;
      wanted.push_back(one);
      objects.push_back(one.info);
    }
    ObjectFetch fetch(engine_.executor(), source_.store(), objects);
    for (size_t at = 0; !ended; ++at) {
      auto next = fetch.next();
      // It was removed since it was listed, and perhaps all of its generation is.
      if (!next && next.error().code == ErrorCode::kNotFound) TM_TRY(check_still_held());
      TM_ASSIGN(const auto fetched, std::move(next));
      if (!fetched) break;
      commits.clear();
      const CommitPoint before = replay_.last();
      Status added = replay_.add(fetched->info.key, wanted[at].name, fetched->bytes, commits);
      if (!added && added.error().code == ErrorCode::kNotFound) {
        // Of a run of the server that began just now.
        TM_TRY(source_.refresh());
        replay_ = LogReplay(before, sessions());
        added = replay_.add(fetched->info.key, wanted[at].name, fetched->bytes, commits);
      }
      if (!added && added.error().code == ErrorCode::kConflict) return std::unexpected(added.error());
      if (!added) {
        // What came before it may just be being removed.
        TM_TRY(check_still_held());
        TM_TRY(accept_torn_end(fetched->info.key, fetched->bytes, added.error()));
        replay_ = LogReplay(before, sessions());
        // If it will not be written again, another generation has begun.
        ended = true;
        break;
      }
      const auto beyond = std::ranges::find_if(commits, [&](const ReplayCommit& one) {
        ended = ended || (end && one.point.stamp > *end);
        passed_ = passed_ || is_beyond(one.point, until);
        return ended || passed_;
      });
      const bool cut = beyond != commits.end();
      commits.erase(beyond, commits.end());
      if (!cut) listed_ = fetched->info.key;
      if (!cut && !replay_.inside_commit()) mark_.log_key = listed_;
      ++progress_.objects;
      progress_.bytes += fetched->bytes.size();
      TM_TRY(apply(commits));
      taken += commits.size();
      if (cut) {
        // With what may have begun in objects before this one.
        replay_ = LogReplay(commits.empty() ? before : commits.back().point, sessions());
        listed_ = mark_.log_key;
      }
      if (passed_) return taken;
    }
    if (!page.empty() && !ended) {
      listed_ = page.back().info.key;
      continue;
    }
    TM_ASSIGN(const bool moved, next_generation(until));
    if (!moved) return taken;
    replay_ = LogReplay(replay_.last(), sessions());
  }
}

Status Follower::detach() {
  TM_TRY(database_.begin_line());
  return commit(database_,
                [](Transaction& t) -> Result<CommitRequest::Decision> {
                  t.erase(mark_key());
                  return CommitRequest::Decision::kCommit;
                })
      .status;
}

Status Follower::check_held() const {
  const Generation* const current = source_.index()->find(mark_.generation);
  if (current != nullptr && !current->pruned) return {};
  return fail(ErrorCode::kConflict, "the backup in " + source_name() + " no longer holds generation " +
                                        mark_.generation +
                                        ", which the database followed: begin with an empty database");
}

Status Follower::check_still_held() {
  if (!source_.index()) return {};
  TM_TRY(source_.refresh());
  return check_held();
}

Result<bool> Follower::next_generation(const std::optional<kv::MomentName>& until) {
  if (!source_.index()) return false;
  TM_TRY(check_held());
  const auto other_way = [&](const std::string& why) {
    return fail(ErrorCode::kConflict, why + ": begin with an empty database");
  };
  const Generation* const next = source_.index()->next_of(mark_.generation);
  if (next == nullptr) return false;
  if (!next->continues) {
    // It may have been given up for yet another one before it was complete.
    const std::span behind(next, source_.index()->generations.data() + source_.index()->generations.size());
    const auto anew = std::ranges::find(behind, true, &Generation::complete);
    const Generation& first = anew == behind.end() ? *next : *anew;
    // What is asked for lies before it, or in the gap.
    passed_ = passed_ || is_beyond({first.snapshot, first.began_ms}, until);
    if (!first.complete || passed_) return false;
    return other_way("generation " + first.id + " of the backup in " + source_name() +
                     " does not continue those before (" + next->reason + ")");
  }
  // What was listed may have been written to since.
  if (database_.head() < next->snapshot) return false;
  if (database_.head() > next->snapshot) {
    return other_way("the database has taken commits up to " + database_.head().hex() +
                     " which are not part of the backup's history: generation " + next->id + " begins at " +
                     next->snapshot.hex());
  }
  mark_.generation = next->id;
  mark_.log_key.clear();
  listed_.clear();
  return true;
}

}  // namespace tidemark::backup
