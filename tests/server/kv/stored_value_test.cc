#include "server/kv/stored_value.h"

#include <gtest/gtest.h>

#include "engine/base/coding.h"

namespace tidemark::kv {
namespace {

std::string encode(const StoredValue& value) {
  std::string out;
  append_stored_value(out, value);
  return out;
}

TEST(StoredValue, BytesAreAsDocumented) {
  EXPECT_EQ(encode({Encoding::kV8, 0, "ab"}),
            "\x01"
            "ab");
  EXPECT_EQ(encode({Encoding::kBytes, 0, ""}), "\x03");
  EXPECT_EQ(encode({Encoding::kLe64, 0x0102030405060708, "12345678"}),
            std::string("\x0a\x08\x07\x06\x05\x04\x03\x02\x01"
                        "12345678"));
}

TEST(StoredValue, ReadsBackWhatItWrote) {
  for (const Encoding encoding : {Encoding::kV8, Encoding::kLe64, Encoding::kBytes}) {
    for (const int64_t expiry : {int64_t{0}, int64_t{1}, int64_t{1} << 40, INT64_MAX}) {
      for (const std::string& data : {std::string(8, '\0'), std::string("\xff\x0f"
                                                                        "012345")}) {
        const std::string bytes = encode({encoding, expiry, data});
        const Result<StoredValue> value = parse_stored_value(bytes);
        ASSERT_TRUE(value.has_value());
        EXPECT_EQ(value->encoding, encoding);
        EXPECT_EQ(value->expire_at_ms, expiry);
        EXPECT_EQ(value->data, data);
      }
    }
  }
}

TEST(StoredValue, AppendsBehindWhatIsThere) {
  std::string out = "before";
  append_stored_value(out, {Encoding::kBytes, 0, "x"});
  EXPECT_EQ(out, "before\x03x");
}

TEST(StoredValue, ExtensionsOfNewerVersionsAreSkipped) {
  std::string bytes;
  bytes.push_back(0x10 | 0x08 | 3);
  put_le64(bytes, 99);
  put_bytes(bytes, std::string(300, 'e'));
  bytes += "data";
  const Result<StoredValue> value = parse_stored_value(bytes);
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->expire_at_ms, 99);
  EXPECT_EQ(value->data, "data");
}

TEST(StoredValue, UnknownFlagsAreANewerFormat) {
  for (const int flag : {0x20, 0x40, 0x80}) {
    const std::string bytes = {static_cast<char>(flag | 1), 'x'};
    const Result<StoredValue> value = parse_stored_value(bytes);
    ASSERT_FALSE(value.has_value());
    EXPECT_EQ(value.error().code, ErrorCode::kNewerFormat);
  }
}

TEST(StoredValue, DamageIsCorruption) {
  std::string zero_expiry = "\x09";
  put_le64(zero_expiry, 0);
  std::string negative_expiry = "\x09";
  put_le64(negative_expiry, static_cast<uint64_t>(-5));
  const std::string cases[] = {
      "",                          // no header
      std::string(1, '\0') + "x",  // encoding 0
      "\x04x",                     // encoding 4
      "\x07x",                     // encoding 7
      "\x02"
      "1234567",  // LE64 of 7 bytes
      "\x02"
      "123456789",  // LE64 of 9 bytes
      "\x09"
      "1234567",  // cut inside the expiry
      "\x11",     // no extension length
      "\x11\x05"
      "abcd",                                          // cut inside the extension
      "\x11\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // an absurd extension length
      zero_expiry,
      negative_expiry,
  };
  for (const std::string& bytes : cases) {
    const Result<StoredValue> value = parse_stored_value(bytes);
    ASSERT_FALSE(value.has_value()) << ::testing::PrintToString(bytes);
    EXPECT_EQ(value.error().code, ErrorCode::kCorruption);
  }
}

TEST(StoredValue, ExpiresAtItsMillisecond) {
  StoredValue value;
  value.expire_at_ms = 1000;
  EXPECT_FALSE(value.expired_at(999));
  EXPECT_TRUE(value.expired_at(1000));
  EXPECT_TRUE(value.expired_at(1001));
  value.expire_at_ms = 0;
  EXPECT_FALSE(value.expired_at(INT64_MAX));
}

}  // namespace
}  // namespace tidemark::kv
