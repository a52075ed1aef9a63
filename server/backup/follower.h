// Brings a database to where a backup is, and keeps it there: restoring, and replicas.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/log.h"
#include "engine/database.h"
#include "server/backup/log_object.h"
#include "server/backup/snapshot_load.h"
#include "server/backup/source.h"
#include "server/kv/moment.h"

namespace tidemark::backup {

// How far it has come. Sizes in bytes.
struct FollowProgress {
  bool in_snapshot = false;
  uint64_t objects = 0;        // read
  uint64_t objects_total = 0;  // of the snapshot, while in it
  uint64_t bytes = 0;
  uint64_t bytes_total = 0;  // of the snapshot, while in it
  uint64_t commits = 0;
};

struct FollowerOptions {
  // For what does not fit in memory, and for what need not be read twice; exists, and is the follower's own.
  std::string scratch_folder;
  // Of one of our snapshots so much is made into segments by each thread at a time, in bytes of objects.
  uint64_t stretch_bytes = SnapshotLoad::kStretchBytes;
  std::function<void(const FollowProgress&)> progress;  // may be empty
  // What has become head in the database; may be empty.
  std::function<void(const std::vector<ReplayCommit>&)> applied;
  LogSink log;
};

// One thread. The database is read-only for everybody else, keeps all its history, and takes transactions of
// any size.
class Follower {
 public:
  // Which backup the database follows, for people; empty: none, and it may be written to.
  static Result<std::string> followed_by(const Database& database);

  // Looks what the backup is. Neither engine nor database nor store may end before it.
  static Result<std::unique_ptr<Follower>> open(Engine& engine, Database& database, ObjectStore& store,
                                                const std::string& prefix, const FollowerOptions& options);

  // A database that was never written to gets the newest snapshot that is complete, or that which a moment
  // needs; history begins with it. Otherwise it must have come from this very backup: kConflict. Call it
  // first. kUnavailable: the first snapshot is not complete yet. kBeyondHorizon: there is no snapshot for a
  // moment that early.
  Status begin(const std::optional<kv::MomentName>& until = {});

  // Takes from the log what the database does not have; of commits behind `until` none. Gives how many were
  // taken; 0: there is nothing more at this moment. kConflict: the backup has gone another way than the
  // database, or no longer holds what comes next: begin with an empty database. After any error call begin()
  // again.
  Result<uint64_t> pull(const std::optional<kv::MomentName>& until = {});

  // Kept in the database: what it has taken, along with the commits themselves.
  struct Mark {
    std::string source;      // the backup
    std::string generation;  // id
    std::string log_key;     // the last object of its log that was taken; empty: none
  };
  const Mark& mark() const { return mark_; }

  // Whether the log was seen to go on behind what the last pull() was to take.
  bool passed() const { return passed_; }

  // Why the last object of the log could not be taken; empty: it was.
  const std::string& torn_end() const { return torn_end_; }

  // Makes the database one of its own, which no longer follows: another line of history, with an epoch of its
  // own. Nothing else is called afterwards.
  Status detach();

  const Source& source() const { return source_; }
  const FollowProgress& progress() const { return progress_; }

 private:
  Follower(Engine& engine, Database& database, Source source, const FollowerOptions& options)
      : engine_(engine),
        database_(database),
        source_(std::move(source)),
        options_(options),
        replay_({}, std::nullopt) {}

  std::string source_name() const { return source_.store().describe() + "/" + source_.prefix(); }
  // Nothing if the database follows none. A fork has the mark of the database that it was made of, which
  // names that one.
  static Result<std::optional<Mark>> read_mark(const Database& database);
  Status load_mark();
  std::string mark_value(std::string_view log_key) const;
  Result<std::string> choose_generation(const std::optional<kv::MomentName>& until) const;
  Status load_snapshot(const std::string& generation);
  // The ranges of one of our snapshots, straight in; false: they are of another kind.
  Result<bool> load_ordered(const std::string& generation, const std::vector<ObjectInfo>& ranges);
  // The ranges of any snapshot, and the log up to where both are consistent.
  Status load_any(const std::string& generation, const std::vector<ObjectInfo>& ranges, Versionstamp target);
  Result<CommitPoint> replay_until(Database& scratch, Versionstamp target);
  CommitOutcome publish(Ingest& ingest, const CommitPoint& last);
  Status accept_torn_end(const std::string& key, const std::string& bytes, const Error& error);
  // Of the generation that is followed; nothing if it is none of ours.
  std::optional<std::vector<WriterSession>> sessions() const;
  std::optional<Versionstamp> end_of_generation() const;
  // Of a backup with an index. kConflict unless it still holds the generation that is followed.
  Status check_held() const;
  // The same, of any backup, after another look.
  Status check_still_held();
  // Moves on to the next generation, if the log of this one has ended; whether it has.
  Result<bool> next_generation(const std::optional<kv::MomentName>& until);
  Status apply(std::vector<ReplayCommit>& commits);
  void report();

  Engine& engine_;
  Database& database_;
  Source source_;
  const FollowerOptions options_;
  Mark mark_;
  std::optional<std::string> in_database_;  // the generation of the mark there; nothing: there is none
  std::string listed_;  // the last object of the log that was read, which may end inside a commit
  LogReplay replay_;
  FollowProgress progress_;
  bool passed_ = false;
  std::string torn_end_;
};

}  // namespace tidemark::backup
