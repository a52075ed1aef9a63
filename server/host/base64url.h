// Base64 in the alphabet of URLs, without padding (RFC 4648, section 5).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::host {

constexpr size_t base64url_chars(size_t bytes) {
  return (bytes * 8 + 5) / 6;
}

std::string base64url(std::string_view bytes);
// Only what base64url() gives: the unused bits of the last digit are zero, so that everything has one
// spelling.
std::optional<std::string> from_base64url(std::string_view chars);

}  // namespace tidemark::host
