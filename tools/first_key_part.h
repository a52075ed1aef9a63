// The first part of a key of Deno KV, for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidemark::tools {

// How many bytes of `key` its first part has; 0 if there is none, or the key is none of Deno KV's.
size_t first_key_part_bytes(std::string_view key);

// As JavaScript writes it: "users", 5n, 0.5, true, Uint8Array(01ff). REQUIRES: `part` is what
// first_key_part_bytes() measured.
std::string first_key_part_text(std::string_view part);

}  // namespace tidemark::tools
