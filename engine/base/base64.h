// Base64 (RFC 4648): the ordinary one with padding, and that in the alphabet of URLs without.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

std::string base64(std::string_view bytes);
// Only what base64() gives: whole groups of four, the unused bits of the last digit zero, so that everything
// has one spelling.
std::optional<std::string> from_base64(std::string_view chars);

constexpr size_t base64url_chars(size_t bytes) {
  return (bytes * 8 + 5) / 6;
}

std::string base64url(std::string_view bytes);
// Only what base64url() gives.
std::optional<std::string> from_base64url(std::string_view chars);

}  // namespace tidemark
