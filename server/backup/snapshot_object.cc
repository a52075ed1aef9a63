#include "server/backup/snapshot_object.h"

#include <utility>

#include "engine/base/coding.h"
#include "server/backup/log_object.h"
#include "server/backup/sealed_object.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"

namespace tidemark::backup {
namespace {

constexpr char kDataTag = 1 << 3 | 2;      // field 1, bytes
constexpr char kMetadataTag = 2 << 3 | 2;  // field 2, bytes
constexpr char kDataPrefix = 'd';
constexpr char kMetadataPrefix = 'm';
constexpr size_t kMetadataBytes = Versionstamp::kBytes + 1;  // without an expiry
constexpr int64_t kNever = -1;

void append_pair(std::string& out, char tag, const pb::BackupKvPair& pair) {
  out.push_back(tag);
  put_varint(out, pair.ByteSizeLong());
  pair.AppendToString(&out);
}

std::string metadata_of(Versionstamp stamp, const kv::StoredValue& value) {
  std::string out = stamp_bytes(stamp);
  out.push_back(static_cast<char>(value.encoding));
  put_le64(out, static_cast<uint64_t>(value.expire_at_ms == 0 ? kNever : value.expire_at_ms));
  return out;
}

Status add_pair(const pb::BackupKvPair& data, const pb::BackupKvPair& metadata, bool with_expiry,
                std::vector<SnapshotEntry>& out) {
  const std::string_view key = data.key(), about = metadata.key(), facts = metadata.value();
  if (!key.starts_with(kDataPrefix) || !about.starts_with(kMetadataPrefix) ||
      key.substr(1) != about.substr(1))
    return fail(ErrorCode::kCorruption, "its two lists do not belong together");
  const std::string_view user_key = key.substr(1);
  if (user_key.size() > kMaxUserKeyBytes)
    return fail(ErrorCode::kCorruption, "a key has " + std::to_string(user_key.size()) + " bytes");
  if (facts.size() < kMetadataBytes)
    return fail(ErrorCode::kCorruption, "what it says of a key is cut short");
  const Versionstamp stamp = Versionstamp::from_bytes(facts.data());
  int64_t expire_at_ms = kNever;
  if (facts.size() >= kMetadataBytes + 8)
    expire_at_ms = static_cast<int64_t>(load_le64(facts.data() + kMetadataBytes));
  TM_ASSIGN(std::string value,
            stored_value(static_cast<uint8_t>(facts[Versionstamp::kBytes]), expire_at_ms, data.value()));
  if (with_expiry && expire_at_ms > 0)
    out.push_back({kv::expiry_key_from(expire_at_ms).append(user_key), stamp, {}});
  out.push_back({std::string(1, kv::kUserPrefix).append(user_key), stamp, std::move(value)});
  return {};
}

}  // namespace

SnapshotRangeWriter::SnapshotRangeWriter(const CommitPoint& version) {
  ours_.set_versionstamp(stamp_bytes(version.stamp));
  ours_.set_timestamp_ms(static_cast<uint64_t>(version.timestamp_ms));
}

Status SnapshotRangeWriter::add(std::string_view key, Versionstamp stamp, std::string_view value) {
  if (key[0] != kv::kUserPrefix) {
    pb::TidemarkEntry& other = *ours_.add_others();
    other.set_versionstamp(stamp_bytes(stamp));
    other.set_key(key.data(), key.size());
    other.set_value(value.data(), value.size());
    other_bytes_ += other.ByteSizeLong();
    return {};
  }
  TM_ASSIGN(const kv::StoredValue parsed, kv::parse_stored_value(value));
  std::string& name = *pair_.mutable_key();
  name.assign(1, kDataPrefix).append(key.substr(1));
  pair_.set_value(parsed.data.data(), parsed.data.size());
  append_pair(range_, kDataTag, pair_);
  name[0] = kMetadataPrefix;
  pair_.set_value(metadata_of(stamp, parsed));
  append_pair(metadata_, kMetadataTag, pair_);
  return {};
}

std::string SnapshotRangeWriter::finish() {
  range_ += metadata_;
  pb::BackupSnapshotRange rest;
  *rest.mutable_tidemark() = std::move(ours_);
  rest.AppendToString(&range_);
  seal_object(range_);
  return std::move(range_);
}

Result<SnapshotRange> parse_snapshot_range(std::string_view name, std::string_view bytes, bool ours) {
  const auto damaged = [&](const Error& error) {
    return fail_within("the snapshot object " + std::string(name), error);
  };
  if (ours)
    if (const Status sealed = check_seal(bytes); !sealed) return damaged(sealed.error());
  pb::BackupSnapshotRange range;
  if (!range.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return damaged({ErrorCode::kCorruption, "it is no such object"});
  if (range.data_list_size() != range.metadata_list_size())
    return damaged({ErrorCode::kCorruption, "its two lists are not of one length"});
  if (ours && !range.has_tidemark()) return damaged({ErrorCode::kCorruption, "it lacks what ours have"});
  SnapshotRange out;
  if (range.has_tidemark()) {
    const auto version = parse_stamp(range.tidemark().versionstamp());
    if (!version) return damaged(version.error());
    out.version = CommitPoint{*version, static_cast<int64_t>(range.tidemark().timestamp_ms())};
    for (pb::TidemarkEntry& other : *range.mutable_tidemark()->mutable_others()) {
      const auto stamp = parse_stamp(other.versionstamp());
      if (!stamp) return damaged(stamp.error());
      if (other.key().empty()) return damaged({ErrorCode::kCorruption, "an entry has no key"});
      out.entries.push_back({std::move(*other.mutable_key()), *stamp, std::move(*other.mutable_value())});
    }
  }
  out.entries.reserve(out.entries.size() + static_cast<size_t>(range.data_list_size()));
  for (int i = 0; i < range.data_list_size(); ++i) {
    const Status added =
        add_pair(range.data_list(i), range.metadata_list(i), !out.version.has_value(), out.entries);
    if (!added) return damaged(added.error());
  }
  return out;
}

}  // namespace tidemark::backup
