// Values are written as they are after the commit (MK_SET), since readers take every kind but MK_CLEAR for
// that. What lies outside the user's part of the keyspace goes into fields of our own, but for entries of the
// expiry index, which follow from the values.
#include "server/backup/log_object.h"

#include <algorithm>
#include <utility>

#include "engine/base/coding.h"
#include "server/backup/sealed_object.h"
#include "server/kv/keyspace.h"

namespace tidemark::backup {
namespace {

constexpr char kEntriesTag = 1 << 3 | 2;  // field 1, bytes

}  // namespace

std::string stamp_bytes(Versionstamp stamp) {
  const auto bytes = stamp.bytes();
  return {bytes.data(), bytes.size()};
}

Result<Versionstamp> parse_stamp(std::string_view bytes) {
  if (bytes.size() != Versionstamp::kBytes)
    return fail(ErrorCode::kCorruption, "a versionstamp has " + std::to_string(bytes.size()) + " bytes");
  return Versionstamp::from_bytes(bytes.data());
}

LogObjectWriter::LogObjectWriter(Versionstamp after, const std::string& session, uint64_t max_bytes)
    : max_bytes_(max_bytes) {
  ours_.set_after(stamp_bytes(after));
  ours_.set_session(session);
}

bool LogObjectWriter::on_commit(const CommitPoint& commit, uint32_t) {
  end_commit();
  if (!status_ || entries_.size() + our_bytes_ >= max_bytes_) return false;
  commit_ = commit;
  in_commit_ = true;
  ++commits_;
  pb::TidemarkCommit& listed = *ours_.add_commits();
  listed.set_versionstamp(stamp_bytes(commit.stamp));
  listed.set_timestamp_ms(static_cast<uint64_t>(commit.timestamp_ms));
  our_bytes_ += listed.ByteSizeLong();
  return true;
}

void LogObjectWriter::on_put(std::string_view key, std::string_view value) {
  if (key[0] == kv::kUserPrefix) return put_user(key.substr(1), value);
  if (key[0] != kv::kExpiryPrefix) put_other(key, value);
}

void LogObjectWriter::on_erase(std::string_view key) {
  if (key[0] != kv::kUserPrefix) return put_other(key, std::nullopt);
  next_entry(key.substr(1)).set_kind(pb::MK_CLEAR);
}

void LogObjectWriter::put_user(std::string_view key, std::string_view value) {
  const auto parsed = kv::parse_stored_value(value);
  if (!parsed) {
    if (status_) status_ = std::unexpected(parsed.error());
    return;
  }
  pb::BackupReplicationLogEntry& entry = next_entry(key);
  entry.set_kind(pb::MK_SET);
  entry.set_value(parsed->data.data(), parsed->data.size());
  entry.set_value_encoding(static_cast<int>(parsed->encoding));
  entry.set_expire_at_ms(static_cast<uint64_t>(parsed->expire_at_ms));
}

void LogObjectWriter::put_other(std::string_view key, std::optional<std::string_view> value) {
  pb::TidemarkEntry& entry = *ours_.add_others();
  entry.set_versionstamp(stamp_bytes(commit_.stamp));
  entry.set_key(key.data(), key.size());
  if (value)
    entry.set_value(value->data(), value->size());
  else
    entry.set_erased(true);
  our_bytes_ += entry.ByteSizeLong();
}

pb::BackupReplicationLogEntry& LogObjectWriter::next_entry(std::string_view key) {
  if (mutations_ > 0) add_entry(static_cast<uint16_t>(mutations_ - 1));
  ++mutations_;
  entry_.Clear();
  entry_.set_key(key.data(), key.size());
  return entry_;
}

void LogObjectWriter::add_entry(uint16_t index) {
  const LogPosition position{commit_.stamp, index};
  if (entries_.empty() && commits_ == 1) first_ = position;
  entry_.set_versionstamp(position.bytes());
  entries_.push_back(kEntriesTag);
  put_varint(entries_, entry_.ByteSizeLong());
  entry_.AppendToString(&entries_);
}

void LogObjectWriter::end_commit() {
  if (!std::exchange(in_commit_, false)) return;
  if (mutations_ > kMaxMutationsOfCommit && status_) {
    status_ =
        fail(ErrorCode::kInvalidArgument,
             "the commit " + commit_.stamp.hex() + " has " + std::to_string(mutations_) + " mutations, and " +
                 std::to_string(kMaxMutationsOfCommit) + " are the most that a backup's log can hold");
  }
  if (mutations_ > 0) {
    add_entry(LogPosition::kLastIndex);
  } else if (commits_ == 1) {
    first_ = {commit_.stamp, LogPosition::kLastIndex};
  }
  mutations_ = 0;
}

Result<LogObject> LogObjectWriter::finish() {
  end_commit();
  TM_TRY(status_);
  LogObject out;
  out.first = first_;
  out.last = {commit_.stamp, LogPosition::kLastIndex};
  out.last_commit = commit_;
  out.commits = commits_;
  out.bytes = std::move(entries_);
  pb::BackupMutationRange rest;
  rest.set_timestamp_ms(static_cast<uint64_t>(commit_.timestamp_ms));
  *rest.mutable_tidemark() = std::move(ours_);
  rest.AppendToString(&out.bytes);
  seal_object(out.bytes);
  return out;
}

Status append_checked_value(std::string& out, int encoding, int64_t expire_at_ms, std::string_view data) {
  if (encoding < static_cast<int>(kv::Encoding::kV8) || encoding > static_cast<int>(kv::Encoding::kBytes))
    return fail(ErrorCode::kCorruption,
                "a value has the encoding " + std::to_string(encoding) + ", which is unknown");
  const kv::StoredValue value{static_cast<kv::Encoding>(encoding), std::max<int64_t>(expire_at_ms, 0), data};
  if (value.encoding == kv::Encoding::kLe64 && data.size() != kv::kLe64Bytes)
    return fail(ErrorCode::kCorruption, "a KvU64 has " + std::to_string(data.size()) + " bytes");
  kv::append_stored_value(out, value);
  return {};
}

Result<Versionstamp> log_object_after(std::string_view bytes) {
  TM_TRY(check_seal(bytes));
  pb::BackupMutationRange range;
  if (!range.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(ErrorCode::kCorruption, "it is no such object");
  return parse_stamp(range.tidemark().after());
}

Status LogReplay::add_entry(pb::BackupReplicationLogEntry& entry, int64_t timestamp_ms) {
  const std::optional<LogPosition> position = LogPosition::from_bytes(entry.versionstamp());
  if (!position) return fail(ErrorCode::kCorruption, "an entry's versionstamp is not 12 bytes long");
  const std::string& user_key = entry.key();
  if (user_key.size() > kMaxUserKeyBytes)
    return fail(ErrorCode::kCorruption, "a key has " + std::to_string(user_key.size()) + " bytes");
  if (open_ && open_->point.stamp != position->stamp)
    return fail(ErrorCode::kCorruption, "the commit " + open_->point.stamp.hex() + " does not end");
  if (!open_) open_ = ReplayCommit{{position->stamp, timestamp_ms}, {}};
  std::string key(1, kv::kUserPrefix);
  key += user_key;
  if (entry.kind() == pb::MK_CLEAR) {
    open_->writes.push_back({std::move(key), std::nullopt});
  } else {
    const auto expire_at_ms = static_cast<int64_t>(entry.expire_at_ms());
    std::string value;
    value.reserve(entry.value().size() + kv::kMaxStoredHeaderBytes);
    TM_TRY(append_checked_value(value, entry.value_encoding(), expire_at_ms, entry.value()));
    if (expire_at_ms > 0)
      open_->writes.push_back({kv::expiry_key_from(expire_at_ms).append(user_key), std::string()});
    open_->writes.push_back({std::move(key), std::move(value)});
  }
  if (position->ends_commit()) complete_.push_back(std::move(*std::exchange(open_, std::nullopt)));
  return {};
}

// Whether the object was written while its writer was the writer.
Result<bool> LogReplay::counts(const pb::TidemarkMutationRange& ours) const {
  TM_ASSIGN(const Versionstamp after, parse_stamp(ours.after()));
  const auto session = std::ranges::find(*sessions_, ours.session(), &WriterSession::id);
  if (session == sessions_->end())
    return fail(ErrorCode::kNotFound, "the session that wrote it, " + ours.session() + ", is not known");
  const auto next = session + 1;
  return next == sessions_->end() || after < next->after;
}

// The commits that have no entries join the others, and each gets its own time and what else it wrote.
Status LogReplay::add_ours(pb::TidemarkMutationRange& ours, std::vector<ReplayCommit>& all) {
  if (open_) return fail(ErrorCode::kCorruption, "the commit " + open_->point.stamp.hex() + " does not end");
  TM_ASSIGN(const Versionstamp after, parse_stamp(ours.after()));
  if (after > last_.stamp)
    return fail(ErrorCode::kCorruption, "what was committed between " + last_.stamp.hex() + " and " +
                                            after.hex() + " is missing before it");
  bool has_last = after == last_.stamp;
  auto with_entries = complete_.begin();
  for (const pb::TidemarkCommit& listed : ours.commits()) {
    TM_ASSIGN(const Versionstamp stamp, parse_stamp(listed.versionstamp()));
    const CommitPoint point{stamp, static_cast<int64_t>(listed.timestamp_ms())};
    has_last = has_last || stamp == last_.stamp;
    if (!all.empty() && stamp <= all.back().point.stamp)
      return fail(ErrorCode::kCorruption, "its commits are not in order");
    if (with_entries != complete_.end() && with_entries->point.stamp == stamp) {
      all.push_back(std::move(*with_entries++));
      all.back().point = point;
    } else {
      all.push_back({point, {}});
    }
  }
  if (with_entries != complete_.end())
    return fail(ErrorCode::kCorruption, "it does not list the commit " + with_entries->point.stamp.hex());
  // What overlaps with what came before must be of the same history.
  if (!has_last && !all.empty() && all.back().point.stamp > last_.stamp)
    return fail(ErrorCode::kConflict, "it knows nothing of the commit " + last_.stamp.hex() +
                                          ", which came before: another server wrote it");
  auto commit = all.begin();
  for (pb::TidemarkEntry& other : *ours.mutable_others()) {
    TM_ASSIGN(const Versionstamp stamp, parse_stamp(other.versionstamp()));
    while (commit != all.end() && commit->point.stamp < stamp) ++commit;
    if (commit == all.end() || commit->point.stamp != stamp || other.key().empty())
      return fail(ErrorCode::kCorruption, "it writes at " + stamp.hex() + " and does not list that commit");
    commit->writes.push_back({std::move(*other.mutable_key()), std::nullopt});
    if (!other.erased()) commit->writes.back().value = std::move(*other.mutable_value());
  }
  return {};
}

Status LogReplay::give(std::vector<ReplayCommit>& all, std::vector<ReplayCommit>& out) {
  const Versionstamp known = last_.stamp;
  for (ReplayCommit& commit : all) {
    if (commit.point.stamp <= known) continue;
    if (commit.point.stamp <= last_.stamp)
      return fail(ErrorCode::kCorruption, "its commits are not in order");
    commit.point.timestamp_ms = std::max(commit.point.timestamp_ms, last_.timestamp_ms);
    last_ = commit.point;
    out.push_back(std::move(commit));
  }
  return {};
}

Status LogReplay::add(std::string_view key, const LogName& name, std::string_view bytes,
                      std::vector<ReplayCommit>& out) {
  const auto damaged = [&](const Error& error) {
    return fail_within("the log object " + std::string(key), error);
  };
  if (sessions_)
    if (const Status sealed = check_seal(bytes); !sealed) return damaged(sealed.error());
  pb::BackupMutationRange range;
  if (!range.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return damaged({ErrorCode::kCorruption, "it is no such object"});
  complete_.clear();
  const auto timestamp_ms = static_cast<int64_t>(std::min<uint64_t>(range.timestamp_ms(), INT64_MAX));
  for (pb::BackupReplicationLogEntry& entry : *range.mutable_entries())
    if (const Status added = add_entry(entry, timestamp_ms); !added) return damaged(added.error());
  std::vector<ReplayCommit> all;
  if (sessions_) {
    if (!range.has_tidemark()) return damaged({ErrorCode::kCorruption, "it lacks what ours have"});
    const Result<bool> counted = counts(range.tidemark());
    if (!counted) return damaged(counted.error());
    if (!*counted) {
      open_.reset();
      return {};
    }
  }
  if (range.has_tidemark()) {
    if (const Status added = add_ours(*range.mutable_tidemark(), all); !added) return damaged(added.error());
    if (all.empty() || all.back().point.stamp != name.last.stamp)
      return damaged({ErrorCode::kCorruption, "it does not hold what its name says"});
  } else {
    all.swap(complete_);
  }
  if (const Status given = give(all, out); !given) return damaged(given.error());
  return {};
}

}  // namespace tidemark::backup
