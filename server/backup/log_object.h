// A run of commits as an object of the log holds it, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/history.h"
#include "server/backup/backup.pb.h"
#include "server/backup/index.h"
#include "server/backup/object_names.h"
#include "server/kv/stored_value.h"

namespace tidemark::backup {

namespace pb = com::deno::kv::backup;

// More mutations have no place under one versionstamp.
inline constexpr uint32_t kMaxMutationsOfCommit = 65'536;

struct LogObject {
  LogPosition first;
  LogPosition last;
  CommitPoint last_commit;
  uint64_t commits = 0;
  std::string bytes;
};

// Takes commits as the engine tells them, and makes one object of them. One thread.
class LogObjectWriter final : public WriteVisitor {
 public:
  // Behind `after`; no commit is begun when the object has come to `max_bytes`. `session`: of the writer.
  LogObjectWriter(Versionstamp after, const std::string& session, uint64_t max_bytes);

  bool on_commit(const CommitPoint& commit, uint32_t writes) override;
  void on_put(std::string_view key, std::string_view value) override;
  void on_erase(std::string_view key) override;

  bool empty() const { return commits_ == 0; }
  // kInvalidArgument if a commit has more mutations than the format knows, kCorruption if a value is none.
  // REQUIRES: not empty. The writer is spent.
  Result<LogObject> finish();

 private:
  void end_commit();
  void add_entry(uint16_t index);
  void put_user(std::string_view key, std::string_view value);
  void put_other(std::string_view key, std::optional<std::string_view> value);
  pb::BackupReplicationLogEntry& next_entry(std::string_view key);

  const uint64_t max_bytes_;
  uint64_t commits_ = 0;
  CommitPoint commit_;      // the last one
  bool in_commit_ = false;  // it is being added
  LogPosition first_;
  Status status_;
  std::string entries_;                  // of the message
  pb::BackupReplicationLogEntry entry_;  // the last mutation, while it is not known whether another follows
  uint32_t mutations_ = 0;               // of the commit, with that one
  pb::TidemarkMutationRange ours_;
  uint64_t our_bytes_ = 0;  // roughly
};

struct ReplayWrite {
  std::string key;                   // of the engine
  std::optional<std::string> value;  // nothing: erased
};

// A commit as a log tells it.
struct ReplayCommit {
  CommitPoint point;
  std::vector<ReplayWrite> writes;
};

// Takes the objects of a log in their order and gives the commits, each whole, whatever objects its parts
// came in. One thread.
class LogReplay {
 public:
  // Commits up to `after` are left out. `sessions`: of whom a log of ours is; nothing: it is another's.
  LogReplay(CommitPoint after, std::optional<std::vector<WriterSession>> sessions)
      : last_(after), sessions_(std::move(sessions)) {}

  // Appends to `out`; nothing of an object that counts for nothing. `key`: of the object, for messages, and
  // `name`, what that says. kCorruption: the bytes are no such object, or damaged, or do not follow what came
  // before; kConflict: they go another way than what came before; kNotFound: the session that wrote them is
  // not known. In these cases nothing was taken.
  Status add(std::string_view key, const LogName& name, std::string_view bytes,
             std::vector<ReplayCommit>& out);
  void set_sessions(std::vector<WriterSession> sessions) { sessions_ = std::move(sessions); }
  // The last commit that was given.
  const CommitPoint& last() const { return last_; }
  // Whether a commit has begun that has not ended.
  bool inside_commit() const { return open_.has_value(); }

 private:
  Status add_entry(pb::BackupReplicationLogEntry& entry, int64_t timestamp_ms);
  Result<bool> counts(const pb::TidemarkMutationRange& ours) const;
  Status add_ours(pb::TidemarkMutationRange& ours, std::vector<ReplayCommit>& all);
  Status give(std::vector<ReplayCommit>& all, std::vector<ReplayCommit>& out);

  CommitPoint last_;
  std::optional<std::vector<WriterSession>> sessions_;
  std::optional<ReplayCommit> open_;
  std::vector<ReplayCommit> complete_;
};

// Where an object of ours says that it goes on from. kCorruption if it is not whole.
Result<Versionstamp> log_object_after(std::string_view bytes);

// What messages of a backup are made of, for its other objects too.

// The longest key of a user that is stored: that of a client, and the versionstamp that may come behind it.
inline constexpr size_t kMaxUserKeyBytes = 2048 + 22;

std::string stamp_bytes(Versionstamp stamp);
// kCorruption (without a name in the message) if it is none.
Result<Versionstamp> parse_stamp(std::string_view bytes);
// Appends the stored form of an entry's value. kCorruption (without a name in the message) if it makes none.
Status append_checked_value(std::string& out, int encoding, int64_t expire_at_ms, std::string_view data);

}  // namespace tidemark::backup
