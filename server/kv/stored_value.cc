// One header byte, then what its flags announce, then the data:
//
//   bits 0-2  encoding, 1 to 3
//   bit 3     an expiry follows: int64, little-endian, above 0
//   bit 4     an extension follows: varint length, then bytes that a reader who does not know them skips
//   bits 5-7  zero; a reader that finds one set must refuse the value, since it would misread it
//
// So a newer version can add what older ones may ignore (the extension) and what they must not (a flag).
#include "server/kv/stored_value.h"

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace tidemark::kv {
namespace {

constexpr uint8_t kEncodingMask = 0x07;
constexpr uint8_t kHasExpiry = 0x08;
constexpr uint8_t kHasExtension = 0x10;
constexpr uint8_t kReserved = 0xe0;

bool is_known(uint8_t encoding) {
  return encoding >= static_cast<uint8_t>(Encoding::kV8) &&
         encoding <= static_cast<uint8_t>(Encoding::kBytes);
}

}  // namespace

void append_stored_value(std::string& out, const StoredValue& value) {
  TM_CHECK(value.expire_at_ms >= 0);
  const bool expires = value.expire_at_ms != 0;
  out.push_back(static_cast<char>(static_cast<uint8_t>(value.encoding) | (expires ? kHasExpiry : 0)));
  if (expires) put_le64(out, static_cast<uint64_t>(value.expire_at_ms));
  out.append(value.data);
}

Result<StoredValue> parse_stored_value(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint8_t header = reader.u8();
  if ((header & kReserved) != 0) {
    return fail(ErrorCode::kNewerFormat, "a stored value was written by a newer version of this program");
  }
  StoredValue value;
  if ((header & kHasExpiry) != 0) {
    value.expire_at_ms = static_cast<int64_t>(reader.le64());
    if (reader.ok() && value.expire_at_ms <= 0) {
      return fail(ErrorCode::kCorruption, "a stored value has an expiry that is not above zero");
    }
  }
  if ((header & kHasExtension) != 0) reader.bytes();
  if (!reader.ok()) return fail(ErrorCode::kCorruption, "a stored value is shorter than its header says");
  const uint8_t encoding = header & kEncodingMask;
  if (!is_known(encoding)) return fail(ErrorCode::kCorruption, "a stored value has an unknown encoding");
  value.encoding = static_cast<Encoding>(encoding);
  value.data = reader.raw(reader.remaining());
  if (value.encoding == Encoding::kLe64 && value.data.size() != kLe64Bytes) {
    return fail(ErrorCode::kCorruption, "a stored LE64 value is not 8 bytes long");
  }
  return value;
}

}  // namespace tidemark::kv
