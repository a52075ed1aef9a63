// What many keys that expire in the same second cost another client.
#pragma once

#include <cstdint>

#include "bench/net_database.h"

namespace tidemark::bench {

// Loads `keys` keys that expire together; prints the times of a lone client's reads and synced writes before
// that moment and from then until all are deleted, and how long that took. Needs the server's access token to
// be the one that opens /metrics.
void expire(const Target& target, uint64_t keys);

}  // namespace tidemark::bench
