// The protobuf wire format by hand, for answers: every field is a tag (field number << 3 | wire type), then a
// varint (type 0) or a length and bytes (type 2). The length of a range is known only at its end, so room for
// the longest possible one is kept and the range moved down over what was not needed: one memmove, cheaper
// than measuring first.
#include "server/connect/wire.h"

#include <google/protobuf/message_lite.h>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::connect {
namespace {

constexpr char varint_tag(int field) {
  return static_cast<char>(field << 3);
}
constexpr char bytes_tag(int field) {
  return static_cast<char>(field << 3 | 2);
}

constexpr size_t kFirstBytes = 512;    // of an answer: enough for most that give one entry
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

}  // namespace

template <class Message>
Status parse_message(std::string_view bytes, Message& message) {
  // Bodies are limited long before this; a larger one could not be given to protobuf.
  if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::kInvalidArgument, "Request protobuf is invalid: the body is not a whole " +
                                                 message.GetTypeName() + " message.");
  }
  return {};
}

template Status parse_message(std::string_view, pb::SnapshotRead&);
template Status parse_message(std::string_view, pb::AtomicWrite&);

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
    out.expire_at_ms = mutation.expire_at_ms();
  }
  write.enqueues = static_cast<size_t>(message.enqueues_size());
  return write;
}

void ReadAnswerWriter::begin_range() {
  if (out_.empty()) out_.reserve(kFirstBytes);
  out_.push_back(bytes_tag(pb::SnapshotReadOutput::kRangesFieldNumber));
  out_.append(kMaxLengthBytes, '\0');
  range_start_ = out_.size();
}

void ReadAnswerWriter::entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) {
  const size_t size =
      field_bytes(key.size()) + field_bytes(value.data.size()) + 2 + field_bytes(Versionstamp::kBytes);
  const size_t start = out_.size();
  const size_t end = start + field_bytes(size);
  // Of the room that it gives, g++ 12 states more than was asked for.
  out_.resize_and_overwrite(end, [&](char* bytes, size_t) {
    char* to = bytes + start;
    *to++ = bytes_tag(pb::ReadRangeOutput::kValuesFieldNumber);
    to = store_varint(to, size);
    to = store_bytes_field(to, pb::KvEntry::kKeyFieldNumber, key);
    to = store_bytes_field(to, pb::KvEntry::kValueFieldNumber, value.data);
    *to++ = varint_tag(pb::KvEntry::kEncodingFieldNumber);
    *to++ = static_cast<char>(value.encoding);
    store_bytes_field(to, pb::KvEntry::kVersionstampFieldNumber, view(versionstamp.bytes()));
    return end;
  });
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
  put_varint_field(out_, pb::SnapshotReadOutput::kReadIsStronglyConsistentFieldNumber, 1);
  put_varint_field(out_, pb::SnapshotReadOutput::kStatusFieldNumber, pb::SR_SUCCESS);
  return std::exchange(out_, {});
}

std::string write_success(Versionstamp versionstamp) {
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
