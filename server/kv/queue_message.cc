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

void append_queue_message(std::string& out, const Enqueue& enqueue) {
  out.push_back(static_cast<char>(kVersion));
  put_varint(out, enqueue.backoff_schedule_ms.size());
  for (const uint32_t ms : enqueue.backoff_schedule_ms) put_varint(out, ms);
  put_varint(out, enqueue.keys_if_undelivered.size());
  for (const std::string_view key : enqueue.keys_if_undelivered) put_bytes(out, key);
  out.append(enqueue.payload);
}

Result<Enqueue> parse_queue_message(std::string_view bytes) {
  const auto malformed = [] { return fail(ErrorCode::kCorruption, "a queue message is malformed"); };
  ByteReader reader(bytes);
  const uint8_t version = reader.u8();
  if (version > kVersion)
    return fail(ErrorCode::kNewerFormat, "a queue message was written by a newer version of this program");
  if (version != kVersion) return malformed();
  Enqueue message;
  for (uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const uint64_t ms = reader.varint();
    if (ms > UINT32_MAX) return malformed();
    message.backoff_schedule_ms.push_back(static_cast<uint32_t>(ms));
  }
  for (uint64_t left = reader.varint(); left > 0 && reader.ok(); --left)
    message.keys_if_undelivered.push_back(reader.bytes());
  if (!reader.ok()) return malformed();
  message.payload = reader.raw(reader.remaining());
  return message;
}

}  // namespace tidemark::kv
