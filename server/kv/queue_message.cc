#include "server/kv/queue_message.h"

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "server/kv/keyspace.h"

namespace tidemark::kv {
namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

std::string queue_key(int64_t deliver_at_ms, Versionstamp enqueued, uint32_t index) {
  std::string key(1, kQueuePrefix);
  append_sortable_time(key, deliver_at_ms);
  const auto stamp = enqueued.bytes();
  key.append(stamp.data(), stamp.size());
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(index >> shift));
  TM_CHECK(key.size() == kQueueKeyBytes);
  return key;
}

Result<QueueKey> parse_queue_key(std::string_view key) {
  if (key.size() != kQueueKeyBytes || key.front() != kQueuePrefix)
    return fail(ErrorCode::kCorruption, "a key of the queue is of the wrong length");
  ByteReader reader(key.substr(1));
  QueueKey out;
  out.deliver_at_ms = static_cast<int64_t>(reader.be64());
  if (out.deliver_at_ms < 0) return fail(ErrorCode::kCorruption, "a key of the queue has a time below zero");
  out.enqueued = Versionstamp::from_bytes(reader.raw(Versionstamp::kBytes).data());
  for (int i = 0; i < 4; ++i) out.index = out.index << 8 | reader.u8();
  return out;
}

void append_queue_message(std::string& out, const Enqueue& enqueue) {
  out.push_back(static_cast<char>(kVersion));
  put_varint(out, enqueue.backoff_schedule_ms.size());
  for (const uint32_t ms : enqueue.backoff_schedule_ms) put_varint(out, ms);
  put_varint(out, enqueue.keys_if_undelivered.size());
  for (const std::string_view key : enqueue.keys_if_undelivered) put_bytes(out, key);
  out.append(enqueue.payload);
}

Result<Enqueue> parse_queue_message(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint8_t version = reader.u8();
  if (version > kVersion)
    return fail(ErrorCode::kNewerFormat, "a queue message was written by a newer version of this program");
  if (version != kVersion) reader.reject();
  Enqueue out;
  // Nothing is set aside for a number that is not there.
  for (uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const uint64_t ms = reader.varint();
    if (ms > UINT32_MAX) reader.reject();
    out.backoff_schedule_ms.push_back(static_cast<uint32_t>(ms));
  }
  for (uint64_t left = reader.varint(); left > 0 && reader.ok(); --left)
    out.keys_if_undelivered.push_back(reader.bytes());
  if (!reader.ok()) return fail(ErrorCode::kCorruption, "a queue message breaks the rules of its format");
  out.payload = reader.raw(reader.remaining());
  return out;
}

}  // namespace tidemark::kv
