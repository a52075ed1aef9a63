// Parts are encoded so that none is the beginning of another:
//
//   01, 02     bytes, a string: up to 00, which stands for a zero inside when FF follows
//   0C to 1C   an integer of |tag - 14| bytes, ones' complement below 14
//   0B, 1D     a longer one: a length byte (its complement for 0B), then so many bytes
//   21         a double, order-preserving
//   26, 27     false, true
#include "tools/first_key_part.h"

#include <bit>
#include <boost/json.hpp>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "engine/base/coding.h"

namespace tidemark::tools {
namespace {

constexpr uint8_t kBytes = 0x01, kString = 0x02, kLongNegative = 0x0b, kZero = 0x14, kLongPositive = 0x1d,
                  kDouble = 0x21, kFalse = 0x26, kTrue = 0x27;
constexpr size_t kMaxShownBytes = 24;

uint8_t at(std::string_view bytes, size_t i) {
  return static_cast<uint8_t>(bytes[i]);
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes.substr(0, kMaxShownBytes)) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return bytes.size() > kMaxShownBytes ? out + "..." : out;
}

std::string unescaped(std::string_view part) {
  std::string out;
  for (size_t i = 1; i + 1 < part.size(); ++i) {
    out += part[i];
    if (part[i] == '\0') ++i;
  }
  return out;
}

std::string integer_text(std::string_view part) {
  const uint8_t tag = at(part, 0);
  const bool negative = tag < kZero;
  const bool is_long = tag == kLongNegative || tag == kLongPositive;
  uint64_t magnitude = 0;
  if (is_long) {
    std::string bytes(part.substr(2));
    if (negative)
      for (char& c : bytes) c = static_cast<char>(~c);
    return (negative ? "-0x" : "0x") + hex(bytes) + "n";
  }
  for (size_t i = 1; i < part.size(); ++i)
    magnitude = magnitude << 8 | (negative ? static_cast<uint8_t>(~at(part, i)) : at(part, i));
  return (negative ? "-" : "") + std::to_string(magnitude) + "n";
}

std::string double_text(std::string_view part) {
  uint64_t bits = load_be64(part.data() + 1);
  bits = bits >> 63 != 0 ? bits ^ uint64_t { 1 } << 63 : ~bits;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, std::bit_cast<double>(bits));
  return {text, end.ptr};
}

}  // namespace

size_t first_key_part_bytes(std::string_view key) {
  if (key.empty()) return 0;
  const uint8_t tag = at(key, 0);
  size_t size = 0;
  if (tag == kBytes || tag == kString) {
    for (size_t i = 1; i < key.size(); ++i) {
      if (key[i] != '\0') continue;
      if (i + 1 == key.size() || at(key, i + 1) != 0xff) return i + 1;
      ++i;
    }
  } else if (tag == kLongNegative || tag == kLongPositive) {
    if (key.size() > 1) size = 2 + (tag == kLongPositive ? at(key, 1) : at(key, 1) ^ 0xff);
  } else if (tag > kLongNegative && tag < kLongPositive) {
    size = 1 + static_cast<size_t>(std::abs(tag - kZero));
  } else if (tag == kDouble) {
    size = 1 + 8;
  } else if (tag == kFalse || tag == kTrue) {
    size = 1;
  }
  return size <= key.size() ? size : 0;
}

std::string first_key_part_text(std::string_view part) {
  switch (at(part, 0)) {
    case kBytes:
      return "Uint8Array(" + hex(unescaped(part)) + ")";
    case kString: {
      const std::string text = unescaped(part);
      return boost::json::serialize(boost::json::string(text.data(), text.size()));
    }
    case kDouble:
      return double_text(part);
    case kFalse:
      return "false";
    case kTrue:
      return "true";
    default:
      return integer_text(part);
  }
}

}  // namespace tidemark::tools
