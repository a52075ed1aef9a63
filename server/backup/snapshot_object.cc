#include "server/backup/snapshot_object.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <climits>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "server/backup/log_object.h"
#include "server/backup/sealed_object.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"

namespace tidemark::backup {
namespace {

constexpr int kDataField = pb::BackupSnapshotRange::kDataListFieldNumber;
constexpr int kMetadataField = pb::BackupSnapshotRange::kMetadataListFieldNumber;
constexpr char kDataPrefix = 'd';
constexpr char kMetadataPrefix = 'm';
constexpr size_t kMetadataBytes = Versionstamp::kBytes + 1;  // without an expiry
constexpr int64_t kNever = -1;

void append_pair(std::string& out, int field, const pb::BackupKvPair& pair) {
  out.push_back(static_cast<char>(field << 3 | 2));  // bytes
  put_varint(out, pair.ByteSizeLong());
  pair.AppendToString(&out);
}

bool parse(pb::BackupKvPair& pair, std::string_view bytes) {
  return pair.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string metadata_of(Versionstamp stamp, const kv::StoredValue& value) {
  std::string out = stamp_bytes(stamp);
  out.push_back(static_cast<char>(value.encoding));
  put_le64(out, static_cast<uint64_t>(value.expire_at_ms == 0 ? kNever : value.expire_at_ms));
  return out;
}

}  // namespace

SnapshotRangeWriter::SnapshotRangeWriter(const CommitPoint& version, size_t bytes) {
  // Its last entry goes beyond.
  range_.reserve(bytes + bytes / 16);
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
  append_pair(range_, kDataField, pair_);
  name[0] = kMetadataPrefix;
  pair_.set_value(metadata_of(stamp, parsed));
  append_pair(metadata_, kMetadataField, pair_);
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

// Objects have megabytes, mostly values: pairs are parsed one by one, so that a value is copied twice within
// the processor's cache instead of through memory.
class SnapshotRangeReader::Fields {
 public:
  explicit Fields(std::string_view bytes)
      : in_(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size())) {}

  struct Field {
    int number;
    std::string_view bytes;
  };
  // The next one that is made of bytes; nothing at the end.
  Result<std::optional<Field>> next() {
    for (;;) {
      const uint32_t tag = in_.ReadTag();
      if (tag == 0 && in_.ConsumedEntireMessage()) return std::nullopt;
      if (tag == 0) return malformed();
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (!WireFormatLite::SkipField(&in_, tag)) return malformed();
        continue;
      }
      uint32_t size = 0;
      const void* bytes = nullptr;
      int left = 0;
      if (!in_.ReadVarint32(&size) || size > INT_MAX) return malformed();
      if (size > 0 && (!in_.GetDirectBufferPointer(&bytes, &left) || size > static_cast<uint32_t>(left) ||
                       !in_.Skip(static_cast<int>(size))))
        return malformed();
      return Field{WireFormatLite::GetTagFieldNumber(tag), {static_cast<const char*>(bytes), size}};
    }
  }
  // The next one of that number, which is there.
  Result<std::string_view> next(int number) {
    for (;;) {
      TM_ASSIGN(const std::optional<Field> field, next());
      TM_CHECK(field);
      if (field->number == number) return field->bytes;
    }
  }

 private:
  using WireFormatLite = google::protobuf::internal::WireFormatLite;
  static std::unexpected<Error> malformed() { return fail(ErrorCode::kCorruption, "it is no such object"); }

  google::protobuf::io::CodedInputStream in_;
};

SnapshotRangeReader::SnapshotRangeReader(std::string name, std::string_view bytes)
    : name_(std::move(name)), bytes_(bytes) {}

SnapshotRangeReader::~SnapshotRangeReader() = default;

std::unexpected<Error> SnapshotRangeReader::damaged(const Error& error) const {
  return fail_within("the snapshot object " + name_, error);
}

Result<std::unique_ptr<SnapshotRangeReader>> SnapshotRangeReader::open(std::string name,
                                                                       std::string_view bytes, bool ours) {
  std::unique_ptr<SnapshotRangeReader> reader(new SnapshotRangeReader(std::move(name), bytes));
  if (const Status looked = reader->look_over(ours); !looked) return reader->damaged(looked.error());
  return reader;
}

Status SnapshotRangeReader::look_over(bool ours) {
  if (ours) TM_TRY(check_seal(bytes_));
  if (bytes_.size() > INT_MAX) return fail(ErrorCode::kCorruption, "it is too large");
  Fields fields(bytes_);
  uint64_t metadata_pairs = 0;
  bool has_ours = false;
  for (;;) {
    TM_ASSIGN(const auto field, fields.next());
    if (!field) break;
    pairs_ += field->number == kDataField ? 1 : 0;
    metadata_pairs += field->number == kMetadataField ? 1 : 0;
    if (field->number != pb::BackupSnapshotRange::kTidemarkFieldNumber) continue;
    has_ours = true;
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(field->bytes.data()),
                                              static_cast<int>(field->bytes.size()));
    if (!ours_.MergeFromCodedStream(&in) || !in.ConsumedEntireMessage())
      return fail(ErrorCode::kCorruption, "it is no such object");
  }
  if (pairs_ != metadata_pairs) return fail(ErrorCode::kCorruption, "its two lists are not of one length");
  if (ours && !has_ours) return fail(ErrorCode::kCorruption, "it lacks what ours have");
  if (has_ours) {
    TM_ASSIGN(const Versionstamp stamp, parse_stamp(ours_.versionstamp()));
    version_ = CommitPoint{stamp, static_cast<int64_t>(ours_.timestamp_ms())};
  }
  data_ = std::make_unique<Fields>(bytes_);
  metadata_ = std::make_unique<Fields>(bytes_);
  return {};
}

Result<bool> SnapshotRangeReader::next() {
  if (std::exchange(at_expiry_, false)) return true;
  Status read;
  if (other_ < ours_.others_size()) {
    read = read_other(*ours_.mutable_others(other_++));
  } else if (pairs_ > 0) {
    --pairs_;
    read = read_pair();
  } else {
    return false;
  }
  if (!read) return damaged(read.error());
  return true;
}

Status SnapshotRangeReader::read_other(pb::TidemarkEntry& other) {
  TM_ASSIGN(stamp_, parse_stamp(other.versionstamp()));
  if (other.key().empty() || other.key().size() > UINT16_MAX)
    return fail(ErrorCode::kCorruption,
                "an entry's key has " + std::to_string(other.key().size()) + " bytes");
  key_ = std::move(*other.mutable_key());
  value_ = std::move(*other.mutable_value());
  return {};
}

Status SnapshotRangeReader::read_pair() {
  TM_ASSIGN(const std::string_view data_bytes, data_->next(kDataField));
  TM_ASSIGN(const std::string_view metadata_bytes, metadata_->next(kMetadataField));
  if (!parse(data_pair_, data_bytes) || !parse(metadata_pair_, metadata_bytes))
    return fail(ErrorCode::kCorruption, "it is no such object");
  const std::string_view key = data_pair_.key(), about = metadata_pair_.key(), facts = metadata_pair_.value();
  if (!key.starts_with(kDataPrefix) || !about.starts_with(kMetadataPrefix) ||
      key.substr(1) != about.substr(1))
    return fail(ErrorCode::kCorruption, "its two lists do not belong together");
  const std::string_view user_key = key.substr(1);
  if (user_key.size() > kMaxUserKeyBytes)
    return fail(ErrorCode::kCorruption, "a key has " + std::to_string(user_key.size()) + " bytes");
  if (facts.size() < kMetadataBytes)
    return fail(ErrorCode::kCorruption, "what it says of a key is cut short");
  stamp_ = Versionstamp::from_bytes(facts.data());
  int64_t expire_at_ms = kNever;
  if (facts.size() >= kMetadataBytes + 8)
    expire_at_ms = static_cast<int64_t>(load_le64(facts.data() + kMetadataBytes));
  key_.assign(1, kv::kUserPrefix).append(user_key);
  value_.clear();
  TM_TRY(append_checked_value(value_, static_cast<uint8_t>(facts[Versionstamp::kBytes]), expire_at_ms,
                              data_pair_.value()));
  at_expiry_ = !version_ && expire_at_ms > 0;
  if (at_expiry_) expiry_key_ = kv::expiry_key_from(expire_at_ms).append(user_key);
  return {};
}

}  // namespace tidemark::backup
