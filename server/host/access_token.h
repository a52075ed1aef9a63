// The secrets that people give to their programs. A store keeps hashes of them, never the tokens: they are
// long and random (or should be), so that a hash cannot be turned back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/coding.h"

namespace tidemark::host {

inline constexpr size_t kMinAccessTokenChars = 12;

// SHA-256 of a token.
using TokenHash = std::array<uint8_t, 32>;

TokenHash hash_token(std::string_view token);
// A new token: "tm_" and 32 random bytes in base64url.
std::string random_token();

// For tables. Looking a hash up by some of its bits tells who measures it nothing about the token.
struct TokenHashHash {
  size_t operator()(const TokenHash& hash) const {
    return load_le64(reinterpret_cast<const char*>(hash.data()));
  }
};

// The operator's own token, which opens every database of a server.
class AccessToken {
 public:
  // Keeps a hash, not the token.
  explicit AccessToken(std::string_view token) : hash_(hash_token(token)) {}
  // Takes the same time whatever is presented.
  bool matches(const TokenHash& presented) const;
  const TokenHash& hash() const { return hash_; }

 private:
  TokenHash hash_;
};

}  // namespace tidemark::host
