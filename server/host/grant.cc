#include "server/host/grant.h"

#include <charconv>

namespace tidemark::host {

namespace {

constexpr size_t kTextChars = 16;

}  // namespace

std::string TokenId::text() const {
  char digits[kTextChars];
  const char* const end = std::to_chars(digits, digits + kTextChars, number, 16).ptr;
  const std::string_view short_text(digits, static_cast<size_t>(end - digits));
  return std::string(kTextChars - short_text.size(), '0') + std::string(short_text);
}

std::optional<TokenId> TokenId::from_text(std::string_view text) {
  TokenId out;
  if (text.size() != kTextChars) return std::nullopt;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out.number, 16);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return out;
}

}  // namespace tidemark::host
