// The few KV Connect messages that bench_net sends and reads, written by hand so that the client costs little
// beside the server. The field numbers are the protocol's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::bench {

// A key of string parts.
std::string kv_key(std::initializer_list<std::string_view> parts);
// AtomicWrite with one M_SET of a VE_BYTES value.
std::string atomic_set(std::string_view key, std::string_view value);
// AtomicWrite that sets all of `keys` to the same VE_BYTES value, with one expiry.
std::string atomic_sets(const std::vector<std::string>& keys, std::string_view value, int64_t expire_at_ms);
// SnapshotRead of one key.
std::string point_read(std::string_view key);
// Whether the bytes are an AtomicWriteOutput that says AW_SUCCESS with a versionstamp.
bool write_succeeded(std::string_view atomic_write_output);
// The value in a SnapshotReadOutput of one entry; nothing if it is anything else.
std::optional<std::string_view> single_value(std::string_view snapshot_read_output);

}  // namespace tidemark::bench
