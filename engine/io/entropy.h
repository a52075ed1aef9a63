// The only door to randomness that must not repeat: names of databases, keys, tokens.
#pragma once

#include <cstddef>
#include <string>

namespace tidemark {

// `size` bytes from the system's generator.
std::string random_bytes(size_t size);

}  // namespace tidemark
