// Queue messages as they are stored: an entry of the queue's part of the keyspace each, in the order of
// delivery. The layout is in docs/formats/keyspace.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/kv/request.h"

namespace tidemark::kv {

// Prefix, time of delivery in ms (8, big-endian), versionstamp of the commit that enqueued it (10), index
// within that commit (4, big-endian).
inline constexpr size_t kQueueKeyBytes = 1 + 8 + Versionstamp::kBytes + 4;
std::string queue_key(int64_t deliver_at_ms, Versionstamp enqueued, uint32_t index);

// Appends the stored form.
void append_queue_message(std::string& out, const Enqueue& enqueue);

// The stored form again, but for the time of delivery, which is in the key. Views point into `bytes`.
// kCorruption if the bytes break the format's rules, kNewerFormat if a newer version wrote them.
Result<Enqueue> parse_queue_message(std::string_view bytes);

}  // namespace tidemark::kv
