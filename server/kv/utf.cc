#include "server/kv/utf.h"

#include <cstdint>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::kv {
namespace {

constexpr char32_t kLargest = 0x10ffff;
constexpr char32_t kHighSurrogates = 0xd800;
constexpr char32_t kLowSurrogates = 0xdc00;
constexpr char32_t kEndOfSurrogates = 0xe000;
constexpr char32_t kAbove16Bits = 0x10000;

// Takes one character from the front. False if there is none that is well-formed.
bool take_utf8(std::string_view& text, char32_t& c) {
  const auto lead = static_cast<uint8_t>(text.front());
  if (lead < 0x80) {
    c = lead;
    text.remove_prefix(1);
    return true;
  }
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, kAbove16Bits};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return false;
  c = lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return false;
    c = c << 6 | (next & 0x3f);
  }
  text.remove_prefix(size);
  return c >= kSmallest[size] && c <= kLargest && (c < kHighSurrogates || c >= kEndOfSurrogates);
}

void append_utf8(std::string& out, char32_t c) {
  const auto rest = [&](int shift) { out.push_back(static_cast<char>(0x80 | (c >> shift & 0x3f))); };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | c >> 6));
    rest(0);
  } else if (c < kAbove16Bits) {
    out.push_back(static_cast<char>(0xe0 | c >> 12));
    rest(6);
    rest(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | c >> 18));
    rest(12);
    rest(6);
    rest(0);
  }
}

}  // namespace

bool is_ascii(std::string_view text) {
  uint8_t all = 0;  // without a branch for each, many are looked at together
  for (const char c : text) all |= static_cast<uint8_t>(c);
  return all < 0x80;
}

bool is_utf8(std::string_view text) {
  char32_t c;
  while (!text.empty()) {
    if (!take_utf8(text, c)) return false;
  }
  return true;
}

std::string latin1_to_utf8(std::string_view latin1) {
  std::string out;
  out.reserve(latin1.size());
  for (const char c : latin1) append_utf8(out, static_cast<uint8_t>(c));
  return out;
}

std::optional<std::string> utf16_to_utf8(std::string_view utf16) {
  TM_CHECK(utf16.size() % 2 == 0);
  std::string out;
  out.reserve(utf16.size());
  for (size_t i = 0; i < utf16.size(); i += 2) {
    char32_t c = load_le16(utf16.data() + i);
    if (c >= kHighSurrogates && c < kEndOfSurrogates) {
      if (c >= kLowSurrogates || i + 2 == utf16.size()) return std::nullopt;
      i += 2;
      const char32_t low = load_le16(utf16.data() + i);
      if (low < kLowSurrogates || low >= kEndOfSurrogates) return std::nullopt;
      c = kAbove16Bits + ((c - kHighSurrogates) << 10) + (low - kLowSurrogates);
    }
    append_utf8(out, c);
  }
  return out;
}

std::optional<std::u16string> utf8_to_utf16(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  char32_t c;
  while (!text.empty()) {
    if (!take_utf8(text, c)) return std::nullopt;
    if (c >= kAbove16Bits) {
      out.push_back(static_cast<char16_t>(kHighSurrogates + ((c - kAbove16Bits) >> 10)));
      out.push_back(static_cast<char16_t>(kLowSurrogates + ((c - kAbove16Bits) & 0x3ff)));
    } else {
      out.push_back(static_cast<char16_t>(c));
    }
  }
  return out;
}

}  // namespace tidemark::kv
