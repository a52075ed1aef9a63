#include "server/kv/tuple_key.h"

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "engine/base/base64.h"
#include "engine/base/coding.h"
#include "server/kv/utf.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

constexpr uint8_t kBytes = 0x01;
constexpr uint8_t kString = 0x02;
constexpr uint8_t kLongNegative = 0x0b;
constexpr uint8_t kZero = 0x14;
constexpr uint8_t kLongPositive = 0x1d;
constexpr uint8_t kDouble = 0x21;
constexpr uint8_t kFalse = 0x26;
constexpr uint8_t kTrue = 0x27;
constexpr char kEscape = '\xff';  // behind a zero byte that is part of the content
constexpr size_t kShortBytes = 8;

constexpr uint64_t kSignBit = uint64_t{1} << 63;
constexpr uint64_t kNan = 0x7ff8000000000000;
constexpr double kLargestSafe = 9007199254740991;  // 2^53 - 1

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

// --- Bytes to parts

std::optional<std::string> take_escaped(ByteReader& reader) {
  std::string out;
  for (;;) {
    const char byte = static_cast<char>(reader.u8());
    if (!reader.ok()) return std::nullopt;
    if (byte == 0) {
      ByteReader ahead = reader;
      if (static_cast<char>(ahead.u8()) != kEscape) return out;
      reader = ahead;
    }
    out.push_back(byte);
  }
}

std::optional<BigInteger> take_big_integer(ByteReader& reader, uint8_t tag) {
  BigInteger number;
  number.negative = tag < kZero;
  const uint8_t flip = number.negative ? 0xff : 0;
  size_t size = static_cast<size_t>(std::abs(int{tag} - int{kZero}));
  if (size > kShortBytes) {
    size = reader.u8() ^ flip;
    if (size <= kShortBytes) return std::nullopt;
  }
  const std::string_view digits = reader.raw(size);
  if (!reader.ok()) return std::nullopt;
  for (size_t i = size; i-- > 0;) number.magnitude.push_back(static_cast<char>(digits[i] ^ flip));
  if (size > 0 && number.magnitude.back() == 0) return std::nullopt;
  return number;
}

std::optional<double> take_double(ByteReader& reader) {
  const uint64_t stored = reader.be64();
  if (!reader.ok()) return std::nullopt;
  const uint64_t bits = (stored & kSignBit) != 0 ? stored ^ kSignBit : ~stored;
  const double number = std::bit_cast<double>(bits);
  if (std::isnan(number) && (bits & ~kSignBit) != kNan) return std::nullopt;
  return number;
}

std::optional<KeyPart> take_part(ByteReader& reader) {
  const uint8_t tag = reader.u8();
  switch (tag) {
    case kBytes:
      if (auto bytes = take_escaped(reader)) return KeyBytes{std::move(*bytes)};
      return std::nullopt;
    case kString: {
      auto text = take_escaped(reader);
      if (!text || !is_utf8(*text)) return std::nullopt;
      return std::move(*text);
    }
    case kDouble:
      return take_double(reader);
    case kFalse:
    case kTrue:
      return tag == kTrue;
    default:
      if (tag < kLongNegative || tag > kLongPositive) return std::nullopt;
      return take_big_integer(reader, tag);
  }
}

// --- Parts to bytes

void put_escaped(std::string& out, uint8_t tag, std::string_view bytes) {
  out.push_back(static_cast<char>(tag));
  for (const char byte : bytes) {
    out.push_back(byte);
    if (byte == 0) out.push_back(kEscape);
  }
  out.push_back('\0');
}

Status put(std::string& out, const KeyBytes& part) {
  put_escaped(out, kBytes, part.bytes);
  return {};
}

Status put(std::string& out, const std::string& part) {
  if (!is_utf8(part)) return refuse("a string of a key is not UTF-8");
  put_escaped(out, kString, part);
  return {};
}

Status put(std::string& out, const BigInteger& part) {
  const size_t size = part.magnitude.size();
  if (size > kMaxKeyBigIntBytes) return refuse("a bigint of a key has more than 255 bytes");
  const char flip = part.negative ? '\xff' : '\0';
  if (size <= kShortBytes) {
    out.push_back(static_cast<char>(part.negative ? kZero - size : kZero + size));
  } else {
    out.push_back(static_cast<char>(part.negative ? kLongNegative : kLongPositive));
    out.push_back(static_cast<char>(static_cast<char>(size) ^ flip));
  }
  for (size_t i = size; i-- > 0;) out.push_back(static_cast<char>(part.magnitude[i] ^ flip));
  return {};
}

Status put(std::string& out, double part) {
  uint64_t bits = std::bit_cast<uint64_t>(part);
  if (std::isnan(part)) bits = kNan | (bits & kSignBit);
  char stored[8];
  store_be64(stored, (bits & kSignBit) != 0 ? ~bits : bits ^ kSignBit);
  out.push_back(static_cast<char>(kDouble));
  out.append(stored, sizeof stored);
  return {};
}

Status put(std::string& out, bool part) {
  out.push_back(static_cast<char>(part ? kTrue : kFalse));
  return {};
}

// --- Parts to JSON

json::value form(const KeyBytes& part) {
  return json::object{{"$bytes", base64(part.bytes)}};
}
json::value form(const std::string& part) {
  return json::value(part);
}
json::value form(const BigInteger& part) {
  return json::object{{"$bigint", to_text(part.view())}};
}
json::value form(bool part) {
  return json::value(part);
}
json::value form(double part) {
  const std::string sign = std::signbit(part) ? "-" : "";
  if (std::isnan(part)) return json::object{{"$number", sign + "NaN"}};
  if (std::isinf(part)) return json::object{{"$number", sign + "Infinity"}};
  const bool whole = std::abs(part) <= kLargestSafe && std::trunc(part) == part;
  if (whole && !(part == 0 && std::signbit(part))) return json::value(static_cast<int64_t>(part));
  return json::value(part);
}

// --- JSON to parts

Result<KeyPart> tagged_part(std::string_view tag, std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (tag == "$bytes") {
    if (auto bytes = from_base64(text)) return KeyPart(KeyBytes{std::move(*bytes)});
    return refuse("the $bytes of a key are not base64");
  }
  if (tag == "$bigint") {
    if (auto number = big_integer_from_text(text)) return KeyPart(std::move(*number));
    return refuse("the $bigint of a key is no whole number");
  }
  if (tag == "$number") {
    if (text == "NaN") return KeyPart(std::bit_cast<double>(kNan));
    if (text == "-NaN") return KeyPart(std::bit_cast<double>(kNan | kSignBit));
    if (text == "Infinity") return KeyPart(kInfinity);
    if (text == "-Infinity") return KeyPart(-kInfinity);
    return refuse("the $number of a key is none of NaN, -NaN, Infinity and -Infinity");
  }
  return refuse("a part of a key has a tag that is none of $bytes, $bigint and $number");
}

Result<KeyPart> part_from(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return KeyPart(std::string(value.get_string()));
    case json::kind::bool_:
      return KeyPart(value.get_bool());
    case json::kind::int64:
      return KeyPart(static_cast<double>(value.get_int64()));
    case json::kind::uint64:
      return KeyPart(static_cast<double>(value.get_uint64()));
    case json::kind::double_:
      return KeyPart(value.get_double());
    case json::kind::object:
      if (const json::object& object = value.get_object(); object.size() == 1) {
        const auto& [tag, content] = *object.begin();
        if (content.is_string()) return tagged_part(tag, content.get_string());
      }
      [[fallthrough]];
    default:
      return refuse("a part of a key is no string, number, boolean or tagged text");
  }
}

}  // namespace

std::optional<KeyParts> decode_key(std::string_view key) {
  KeyParts parts;
  ByteReader reader(key);
  while (!reader.at_end()) {
    std::optional<KeyPart> part = take_part(reader);
    if (!part) return std::nullopt;
    parts.push_back(std::move(*part));
  }
  return parts;
}

Result<std::string> encode_key(const KeyParts& parts) {
  std::string out;
  for (const KeyPart& part : parts)
    TM_TRY(std::visit([&](const auto& content) { return put(out, content); }, part));
  return out;
}

json::value key_form(std::string_view key) {
  const std::optional<KeyParts> parts = decode_key(key);
  if (!parts) return json::object{{"$raw", base64(key)}};
  json::array out;
  out.reserve(parts->size());
  for (const KeyPart& part : *parts)
    out.push_back(std::visit([](const auto& content) { return form(content); }, part));
  return out;
}

Result<std::string> key_from_form(const json::value& form) {
  if (const json::array* array = form.if_array()) {
    KeyParts parts;
    parts.reserve(array->size());
    for (const json::value& value : *array) {
      TM_ASSIGN(KeyPart part, part_from(value));
      parts.push_back(std::move(part));
    }
    return encode_key(parts);
  }
  const json::object* object = form.if_object();
  const json::value* raw = object == nullptr || object->size() != 1 ? nullptr : object->if_contains("$raw");
  if (raw == nullptr || !raw->is_string()) return refuse("a key is neither an array nor a $raw");
  if (auto bytes = from_base64(raw->get_string())) return std::move(*bytes);
  return refuse("the $raw of a key is not base64");
}

}  // namespace tidemark::kv
