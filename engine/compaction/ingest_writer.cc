#include "engine/compaction/ingest_writer.h"

#include <algorithm>

#include "engine/base/check.h"

namespace tidemark {

// What lies beneath is not known while the files are prepared: every tombstone stays.
IngestWriter::Part::Part(VersionSet& versions, const DatabaseOptions& options)
    : live(versions, options, SegmentKind::kLive, options.segment_bytes),
      history(versions, options, SegmentKind::kHistory, options.segment_bytes),
      splitter(live, history, Versionstamp::min(), [](std::string_view) { return false; }) {}

IngestWriter::IngestWriter(VersionSet& versions, const DatabaseOptions& options, bool starts_history)
    : versions_(versions), options_(options), starts_history_(starts_history) {
  parts_.push_back(std::make_unique<Part>(versions_, options_));
}

IngestWriter::~IngestWriter() {
  if (!changes_path_.empty()) (void)versions_.fs().remove(changes_path_).has_value();
}

Status IngestWriter::add(std::string_view key, Versionstamp stamp, std::optional<std::string_view> value) {
  if (key.empty() || key.size() > UINT16_MAX)
    return fail(ErrorCode::kInvalidArgument, "a key has " + std::to_string(key.size()) + " bytes");
  Part& part = *parts_.back();
  if (part.any && compare_entries(part.last_key, part.last_stamp, key, stamp) >= 0)
    return fail(ErrorCode::kInvalidArgument, "entries to ingest are out of order");
  // Level 0 is ordered by the largest stamps of its segments.
  if (stamp < least_)
    return fail(ErrorCode::kInvalidArgument,
                "a later part of an ingest holds a version that is older than the "
                "parts before it");
  // History of several parts would overlap within one run.
  if (parts_.size() > 1 && part.any && part.last_key == key)
    return fail(ErrorCode::kInvalidArgument, "only the first part of an ingest may hold older versions");
  if (!part.any) part.first_key = key;
  part.any = any_entries_ = true;
  part.last_key = key;
  part.last_stamp = stamp;
  if (rise_to(stamp)) changes_.add(key, stamp, !value.has_value());
  return part.splitter.add(key, stamp, !value.has_value(), value.value_or(std::string_view()));
}

bool IngestWriter::rise_to(Versionstamp stamp) {
  // Where history starts, only what has the newest stamp is above nothing.
  if (starts_history_ && stamp > largest_) changes_ = IngestChanges();
  const bool counts = !starts_history_ || stamp >= largest_;
  largest_ = std::max(largest_, stamp);
  return counts;
}

Status IngestWriter::begin_part() {
  if (!parts_.back()->any) return {};
  TM_TRY(seal());
  least_ = largest_;
  parts_.push_back(std::make_unique<Part>(versions_, options_));
  return {};
}

Status IngestWriter::seal() {
  TM_TRY(parts_.back()->live.finish());
  return parts_.back()->history.finish();
}

Status IngestWriter::append(IngestWriter& behind) {
  if (parts_.size() > 1 || behind.parts_.size() > 1)
    return fail(ErrorCode::kInvalidArgument, "an ingest of several parts cannot be put together of others");
  if (!behind.any_entries_) return {};
  Part& part = *parts_.back();
  Part& other = *behind.parts_.back();
  if (part.any && part.last_key >= other.first_key)
    return fail(ErrorCode::kInvalidArgument, "entries to ingest are out of order");
  TM_TRY(seal());
  TM_TRY(behind.seal());
  if (rise_to(behind.largest_)) changes_.append(behind.changes_);
  if (!part.any) part.first_key = other.first_key;
  part.any = any_entries_ = true;
  part.last_key = other.last_key;
  part.last_stamp = Versionstamp::min();  // the last key's versions are complete
  part.live.append(other.live);
  part.history.append(other.history);
  return {};
}

Result<WalIngest> IngestWriter::finish(const CommitPoint& last) {
  if (!any_entries_) return fail(ErrorCode::kInvalidArgument, "there is nothing to ingest");
  if (largest_ > last.stamp)
    return fail(ErrorCode::kInvalidArgument,
                "a version to ingest is above " + last.stamp.hex() + ", the last one");
  WalIngest ingest{last.stamp, last.timestamp_ms, {}, {}, {}};
  for (const auto& part : parts_) {
    TM_TRY(part->live.finish());
    TM_TRY(part->history.finish());
    for (const OutputFiles* files : {&part->live, &part->history})
      ingest.segments.insert(ingest.segments.end(), files->files().begin(), files->files().end());
  }
  if (starts_history_) {
    ingest.horizon = last.stamp;
    if (largest_ < last.stamp) changes_ = IngestChanges();
  }
  const uint64_t number = versions_.new_file_number();
  changes_path_ = versions_.path(FileType::kChanges, number);
  TM_ASSIGN(ChangeFileMeta changes, changes_.write(versions_, number, ingest.segments, last));
  ingest.changes.push_back(changes);
  TM_TRY(versions_.fs().sync_dir(versions_.dir()));
  return ingest;
}

void IngestWriter::release() {
  for (const auto& part : parts_) {
    part->live.release();
    part->history.release();
  }
  changes_path_.clear();
}

}  // namespace tidemark
