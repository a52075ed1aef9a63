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

}  // namespace tidemark::kv
