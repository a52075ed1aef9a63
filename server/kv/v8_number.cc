#include "server/kv/v8_number.h"

#include <bit>
#include <cmath>
#include <limits>

#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace tidemark::kv {
namespace {

constexpr uint8_t kVersionTag = 0xff;
constexpr uint32_t kOldestVersion = 13;
constexpr uint32_t kNewestVersion = 16;

constexpr uint8_t kPadding = 0;
constexpr uint8_t kVerifyObjectCount = '?';
constexpr uint8_t kInt32 = 'I';
constexpr uint8_t kUint32 = 'U';
constexpr uint8_t kDouble = 'N';
constexpr uint8_t kBigInt = 'Z';

// Tags that a value of another kind may begin with: constants, strings, objects, arrays, dates, boxed
// primitives, regular expressions, maps, sets, buffers, errors, and what only a host can bring back.
constexpr std::string_view kOtherTags = "_0TFS\"coaADyxnzsR;'B~turwmp\\";

constexpr size_t kDigitBytes = 8;  // V8's digits

double canonical(double number) {
  return std::isnan(number) ? std::numeric_limits<double>::quiet_NaN() : number;
}

BigIntView normalized(BigIntView number) {
  // npos + 1 is 0: nothing but zeros.
  number.magnitude = number.magnitude.substr(0, number.magnitude.find_last_not_of('\0') + 1);
  if (number.magnitude.empty()) number.negative = false;
  return number;
}

std::string header(uint8_t tag) {
  return {static_cast<char>(kVersionTag), static_cast<char>(kWrittenV8Version), static_cast<char>(tag)};
}

}  // namespace

uint32_t read_v8_varint(ByteReader& reader) {
  const uint64_t value = reader.varint();
  if (value > std::numeric_limits<uint32_t>::max()) reader.reject();
  return static_cast<uint32_t>(value);
}

BigIntView read_v8_big_int(ByteReader& reader) {
  const uint32_t bits = read_v8_varint(reader);
  const bool negative = (bits & 1) != 0;
  const size_t bytes = bits >> 1;
  if (bytes > kMaxBigIntBytes || (bytes == 0 && negative)) reader.reject();
  return normalized({negative, reader.raw(bytes)});
}

void append_v8_big_int(std::string& out, BigIntView number) {
  TM_CHECK(number.magnitude.size() <= kMaxBigIntBytes + kDigitBytes);
  number = normalized(number);
  const size_t bytes = (number.magnitude.size() + kDigitBytes - 1) / kDigitBytes * kDigitBytes;
  out.reserve(out.size() + kMaxVarintBytes + bytes);
  put_varint(out, bytes << 1 | (number.negative ? 1 : 0));
  out.append(number.magnitude);
  out.append(bytes - number.magnitude.size(), '\0');
}

std::expected<V8Number, NotV8Number> parse_v8_number(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.u8() != kVersionTag) return std::unexpected(NotV8Number::kInvalid);
  const uint32_t version = read_v8_varint(reader);
  if (version < kOldestVersion || version > kNewestVersion) return std::unexpected(NotV8Number::kInvalid);

  uint8_t tag = reader.u8();
  while (reader.ok() && (tag == kPadding || tag == kVerifyObjectCount)) {
    if (tag == kVerifyObjectCount) read_v8_varint(reader);
    tag = reader.u8();
  }
  if (!reader.ok()) return std::unexpected(NotV8Number::kInvalid);
  if (TM_MUTANT("sum.number.forms/int32") && tag == kInt32) tag = 0;
  if (TM_MUTANT("sum.number.forms/uint32") && tag == kUint32) tag = 0;
  if (TM_MUTANT("sum.number.forms/double") && tag == kDouble) tag = 0;

  V8Number number;
  switch (tag) {
    case kInt32: {
      const uint32_t zigzag = read_v8_varint(reader);
      number = static_cast<double>(static_cast<int32_t>((zigzag >> 1) ^ (0 - (zigzag & 1))));
      break;
    }
    case kUint32:
      number = static_cast<double>(read_v8_varint(reader));
      break;
    case kDouble:
      number = canonical(std::bit_cast<double>(reader.le64()));
      break;
    case kBigInt:
      number = read_v8_big_int(reader);
      break;
    default:
      return std::unexpected(kOtherTags.find(static_cast<char>(tag)) != std::string_view::npos
                                 ? NotV8Number::kOtherKind
                                 : NotV8Number::kInvalid);
  }
  if (!reader.ok() || !reader.at_end()) return std::unexpected(NotV8Number::kInvalid);
  return number;
}

std::string encode_v8_number(double number) {
  std::string out = header(TM_MUTANT("sum.number.writes-double") ? kUint32 : kDouble);
  put_le64(out, std::bit_cast<uint64_t>(canonical(number)));
  return out;
}

std::string encode_v8_number(BigIntView number) {
  std::string out = header(kBigInt);
  append_v8_big_int(out, number);
  return out;
}

}  // namespace tidemark::kv
