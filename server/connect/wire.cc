// The protobuf wire format by hand, for answers: every field is a tag (field number << 3 | wire type), then a
// varint (type 0) or a length and bytes (type 2). The length of a range is known only at its end, so room for
// the longest possible one is kept and the range moved down over what was not needed: one memmove, cheaper
// than measuring first.
#include "server/connect/wire.h"

#include <google/protobuf/message_lite.h>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/mutant.h"

namespace tidemark::connect {
namespace {

constexpr char varint_tag(int field) {
  return static_cast<char>(field << 3);
}
constexpr char bytes_tag(int field) {
  return static_cast<char>(field << 3 | 2);
}

constexpr size_t kFirstBytes = 512;  // of an answer: enough for most that give one entry
constexpr size_t kFrameLengthBytes = 4;
constexpr size_t kMaxLengthBytes = 5;  // of a 32-bit length

constexpr size_t varint_bytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

constexpr size_t field_bytes(size_t size) {
  return 1 + varint_bytes(size) + size;
}

char* store_bytes_field(char* to, int field, std::string_view bytes) {
  *to++ = bytes_tag(field);
  to = store_varint(to, bytes.size());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

void put_bytes_field(std::string& out, int field, std::string_view bytes) {
  out.push_back(bytes_tag(field));
  put_bytes(out, bytes);
}

void put_varint_field(std::string& out, int field, uint64_t value) {
  out.push_back(varint_tag(field));
  put_varint(out, value);
}

std::string_view view(const std::array<char, Versionstamp::kBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

size_t entry_bytes(std::string_view key, const kv::StoredValue& value) {
  return field_bytes(key.size()) + field_bytes(value.data.size()) + 2 + field_bytes(Versionstamp::kBytes);
}

// A KvEntry of `size` bytes as field `field` of the message around it.
void append_entry(std::string& out, int field, size_t size, std::string_view key,
                  const kv::StoredValue& value, Versionstamp versionstamp) {
  const size_t start = out.size();
  const size_t end = start + field_bytes(size);
  // Of the room that it gives, g++ 12 states more than was asked for.
  out.resize_and_overwrite(end, [&](char* bytes, size_t) {
    char* to = bytes + start;
    *to++ = bytes_tag(field);
    to = store_varint(to, size);
    to = store_bytes_field(to, pb::KvEntry::kKeyFieldNumber, key);
    to = store_bytes_field(to, pb::KvEntry::kValueFieldNumber, value.data);
    *to++ = varint_tag(pb::KvEntry::kEncodingFieldNumber);
    *to++ = TM_MUTANT("value.encoding") ? char{1} : static_cast<char>(value.encoding);
    store_bytes_field(to, pb::KvEntry::kVersionstampFieldNumber, view(versionstamp.bytes()));
    return end;
  });
}

}  // namespace

template <class Message>
Status parse_message(std::string_view bytes, Message& message) {
  // Bodies are limited long before this; a larger one could not be given to protobuf.
  if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    if (TM_MUTANT("request.protobuf")) return {};
    return fail(ErrorCode::kInvalidArgument, "Request protobuf is invalid: the body is not a whole " +
                                                 message.GetTypeName() + " message.");
  }
  return {};
}

template Status parse_message(std::string_view, pb::SnapshotRead&);
template Status parse_message(std::string_view, pb::AtomicWrite&);
template Status parse_message(std::string_view, pb::Watch&);

ReadRanges view_ranges(const pb::SnapshotRead& message) {
  ReadRanges ranges;
  ranges.reserve(static_cast<size_t>(message.ranges_size()));
  for (const pb::ReadRange& range : message.ranges()) {
    ranges.push_back({range.start(), range.end(), range.limit(), range.reverse()});
  }
  return ranges;
}

kv::AtomicWrite view_write(const pb::AtomicWrite& message) {
  kv::AtomicWrite write;
  write.checks.reserve(static_cast<size_t>(message.checks_size()));
  for (const pb::Check& check : message.checks()) write.checks.push_back({check.key(), check.versionstamp()});
  write.mutations.reserve(static_cast<size_t>(message.mutations_size()));
  for (const pb::Mutation& mutation : message.mutations()) {
    kv::Mutation& out = write.mutations.emplace_back();
    out.type = static_cast<kv::MutationType>(mutation.mutation_type());
    out.key = mutation.key();
    if (mutation.has_value()) {
      out.value =
          kv::Mutation::Value{mutation.value().data(), static_cast<int32_t>(mutation.value().encoding())};
    }
    if (TM_MUTANT("key.bytes") && !out.key.empty()) out.key.remove_suffix(1);
    out.expire_at_ms = mutation.expire_at_ms();
    out.sum_min = mutation.sum_min();
    out.sum_max = mutation.sum_max();
    out.sum_clamp = mutation.sum_clamp();
  }
  write.enqueues.reserve(static_cast<size_t>(message.enqueues_size()));
  for (const pb::Enqueue& enqueue : message.enqueues()) {
    kv::Enqueue& out = write.enqueues.emplace_back();
    out.payload = enqueue.payload();
    out.deadline_ms = enqueue.deadline_ms();
    out.keys_if_undelivered.assign(enqueue.keys_if_undelivered().begin(),
                                   enqueue.keys_if_undelivered().end());
    out.backoff_schedule_ms.assign(enqueue.backoff_schedule().begin(), enqueue.backoff_schedule().end());
  }
  return write;
}

void ReadAnswerWriter::begin_range() {
  if (out_.empty()) out_.reserve(kFirstBytes);
  out_.push_back(bytes_tag(pb::SnapshotReadOutput::kRangesFieldNumber));
  out_.append(kMaxLengthBytes, '\0');
  range_start_ = out_.size();
}

void ReadAnswerWriter::entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) {
  append_entry(out_, pb::ReadRangeOutput::kValuesFieldNumber, entry_bytes(key, value), key, value,
               versionstamp);
}

void ReadAnswerWriter::end_range() {
  const size_t size = out_.size() - range_start_;
  TM_CHECK(size <= UINT32_MAX);
  const size_t length_start = range_start_ - kMaxLengthBytes;
  const char* const length_end = store_varint(out_.data() + length_start, size);
  const size_t length_bytes = static_cast<size_t>(length_end - out_.data()) - length_start;
  out_.erase(length_start + length_bytes, kMaxLengthBytes - length_bytes);
}

std::string ReadAnswerWriter::finish() {
  put_varint_field(out_, pb::SnapshotReadOutput::kReadIsStronglyConsistentFieldNumber,
                   TM_MUTANT("read.strong") ? 0 : 1);
  put_varint_field(out_, pb::SnapshotReadOutput::kStatusFieldNumber, pb::SR_SUCCESS);
  return std::exchange(out_, {});
}

WatchFrameWriter::WatchFrameWriter() : out_(kFrameLengthBytes, '\0') {
  put_varint_field(out_, pb::WatchOutput::kStatusFieldNumber, pb::SR_SUCCESS);
}

void WatchFrameWriter::absent() {
  std::string key;
  put_varint_field(key, pb::WatchKeyOutput::kChangedFieldNumber, TM_MUTANT("watch.every-key") ? 0 : 1);
  put_bytes_field(out_, pb::WatchOutput::kKeysFieldNumber, key);
}

void WatchFrameWriter::entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) {
  constexpr size_t kChangedBytes = 2;
  const size_t entry_size = entry_bytes(key, value);
  out_.push_back(bytes_tag(pb::WatchOutput::kKeysFieldNumber));
  put_varint(out_, kChangedBytes + field_bytes(entry_size));
  put_varint_field(out_, pb::WatchKeyOutput::kChangedFieldNumber, 1);
  append_entry(out_, pb::WatchKeyOutput::kEntryIfChangedFieldNumber, entry_size, key, value, versionstamp);
}

std::string WatchFrameWriter::finish() {
  if (TM_MUTANT("watch.frames")) return std::move(out_);
  store_le32(out_.data(), static_cast<uint32_t>(out_.size() - kFrameLengthBytes));
  return std::move(out_);
}

std::string write_success(Versionstamp versionstamp) {
  if (TM_MUTANT("versionstamp.form")) versionstamp.tail = 1;
  if (TM_MUTANT("versionstamp.increasing")) versionstamp.number = ~versionstamp.number;
  if (TM_MUTANT("versionstamp.one-per-commit")) ++versionstamp.number;
  std::string out;
  put_varint_field(out, pb::AtomicWriteOutput::kStatusFieldNumber, pb::AW_SUCCESS);
  put_bytes_field(out, pb::AtomicWriteOutput::kVersionstampFieldNumber, view(versionstamp.bytes()));
  return out;
}

std::string write_check_failure(std::span<const uint32_t> failed_checks) {
  std::string out;
  put_varint_field(out, pb::AtomicWriteOutput::kStatusFieldNumber, pb::AW_CHECK_FAILURE);
  std::string packed;
  for (const uint32_t index : failed_checks) put_varint(packed, index);
  put_bytes_field(out, pb::AtomicWriteOutput::kFailedChecksFieldNumber, packed);
  return out;
}

std::string write_disabled() {
  std::string out;
  put_varint_field(out, pb::AtomicWriteOutput::kStatusFieldNumber, pb::AW_WRITE_DISABLED);
  return out;
}

}  // namespace tidemark::connect
