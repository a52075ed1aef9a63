// The operator's secret, which opens every database of a server.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tidemark::host {

inline constexpr size_t kMinAccessTokenChars = 12;

class AccessToken {
 public:
  // Keeps a hash, not the token.
  explicit AccessToken(std::string_view token);
  // Takes the same time whatever `presented` is, but for its length.
  bool matches(std::string_view presented) const;

 private:
  std::array<uint8_t, 32> hash_;
};

}  // namespace tidemark::host
