// The vectors come from v8.serialize() of Node 20 (version 15) and from Deno 2.9.6 (version 16), which differ
// in the version only; what V8 accepts beyond what it writes was tried on both.
#include "server/kv/v8_number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "tests/server/kv/v8_bytes.h"

namespace tidemark::kv {
namespace {

using test::from_hex;
using test::to_hex;

// As text: "invalid", "other", a double's bits or a BigInt's sign and magnitude with the highest byte first.
std::string describe(std::expected<V8Number, NotV8Number> number) {
  if (!number) return number.error() == NotV8Number::kInvalid ? "invalid" : "other";
  if (const auto* d = std::get_if<double>(&*number)) {
    uint64_t bits = std::bit_cast<uint64_t>(*d);
    std::string big_endian;
    for (int shift = 56; shift >= 0; shift -= 8) big_endian.push_back(static_cast<char>(bits >> shift));
    return "double " + to_hex(big_endian);
  }
  const BigIntView view = std::get<BigIntView>(*number);
  return (view.negative ? "-" : "+") + to_hex(std::string(view.magnitude.rbegin(), view.magnitude.rend()));
}

std::string parse(std::string_view bytes) {
  // An allocation of exactly these bytes, so that a sanitizer sees a read outside.
  const auto exact = std::make_unique<char[]>(bytes.size());
  std::memcpy(exact.get(), bytes.data(), bytes.size());
  return describe(parse_v8_number({exact.get(), bytes.size()}));
}

std::string parse_hex(std::string_view hex) {
  return parse(from_hex(hex));
}

std::string as_double(double d) {
  return describe(V8Number(d));
}

const std::pair<const char*, double> kNumbers[] = {
    {"4900", 0.0},
    {"4e0000000000000080", -0.0},
    {"4902", 1},
    {"4901", -1},
    {"4e000000000000e03f", 0.5},
    {"4980a8d6b907", 1e9},
    {"49feffffff07", 1073741823},
    {"498080808008", 1073741824},
    {"49feffffff0f", 2147483647},
    {"49ffffffff0f", -2147483648.0},
    {"4e000000000000e041", 2147483648},
    {"4e0000e0ffffffef41", 4294967295},
    {"4e000000000000f87f", std::numeric_limits<double>::quiet_NaN()},
    {"4e000000000000f07f", std::numeric_limits<double>::infinity()},
    {"4e000000000000f0ff", -std::numeric_limits<double>::infinity()},
    {"4e0100000000000000", 5e-324},
};

const std::pair<const char*, const char*> kBigInts[] = {
    {"5a00", "+"},
    {"5a100100000000000000", "+01"},
    {"5a110100000000000000", "-01"},
    {"5a10ff00000000000000", "+ff"},
    {"5a110000000000000080", "-8000000000000000"},
    {"5a110100000000000080", "-8000000000000001"},
    {"5a10ffffffffffffffff", "+ffffffffffffffff"},
    {"5a2000000000000000000100000000000000", "+010000000000000000"},
    {"5a2000000040eaed7446d09c2c9f0c000000", "+0c9f2c9cd04674edea40000000"},  // 10n**30n
    {"5a20ffffffffffffffffffffffffffffff7f", "+7fffffffffffffffffffffffffffffff"},
    {"5a31000000000000000000000000000000000100000000000000", "-0100000000000000000000000000000000"},
    // 3n**400n: the first varint of two bytes
    {"5aa00141c5cd85e85fcd64579ee8c787c854354a81a3e5e3017b95b960154ba333a4b675227fbbe6874d1289bcdeb93ecd812f6"
     "a"
     "d40e64b857ebcace2995facf3e3ea896293df525991af33d22d23d9b68f503",
     "+03f5689b3dd2223df31a9925f53d2996a83e3ecffa9529cecaeb57b8640ed46a2f81cd3eb9debc89124d87e6bb7f2275b6a433"
     "a3"
     "4b1560b9957b01e3e5a3814a3554c887c7e89e5764cd5fe885cdc541"},
    // -(7n**300n)
    {"5ae10121bbdafdb5448994bd67c53d1e417546dea536a400e261800496d80d3c1f4e8aaf7cd41834ae0c863cc60a860714ce478"
     "6"
     "f37c315f0a7e06860ed820112510b5b794697908b79f929cd90d1f0b7252cebe7e0ebd792197304570d6b2f6142df277bb0eb50"
     "4"
     "273e8f9d04000000000000",
     "-049d8f3e2704b50ebb77f22d14f6b2d6704530972179bd0e7ebece52720b1f0dd99c929fb708796994b7b510251120d80e8606"
     "7e"
     "0a5f317cf38647ce1407860ac63c860cae3418d47caf8a4e1f3c0dd896048061e200a436a5de4675411e3dc567bd948944b5fdd"
     "a"
     "bb21"},
};

const char* const kOtherKinds[] = {
    "5f",                    // undefined
    "30",                    // null
    "54",                    // true
    "46",                    // false
    "220161",                // "a"
    "2201e9",                // "é"
    "6304e5652c67",          // "日本"
    "6f7b00",                // {}
    "41014902240001",        // [1]
    "610249024902400102",    // [,1]
    "440000000000001440",    // new Date(5)
    "7a100100000000000000",  // Object(1n)
    "6e000000000000f83f",    // Object(1.5)
    "73220173",              // Object("s")
    "79",                    // Object(true)
    "78",                    // Object(false)
    "3b490249043a02",        // new Map([[1, 2]])
    "2749022c01",            // new Set([1])
    "420100",                // new ArrayBuffer(1)
    "5222016101",            // /a/g
    "726d2201782e",          // new Error("x")
    "5c010101",              // a host object
};

TEST(V8Number, ReadsNumbersOfNodeAndDeno) {
  for (const std::string version : {"ff0f", "ff10"}) {
    for (const auto& [hex, value] : kNumbers) EXPECT_EQ(parse_hex(version + hex), as_double(value)) << hex;
  }
  EXPECT_EQ(parse_hex("ff0f 55 ffffffff0f"), as_double(4294967295));
  EXPECT_EQ(parse_hex("ff0f 55 00"), as_double(0));
}

TEST(V8Number, ReadsBigIntsOfNodeAndDeno) {
  for (const std::string version : {"ff0f", "ff10"}) {
    for (const auto& [hex, value] : kBigInts) EXPECT_EQ(parse_hex(version + hex), value) << hex;
  }
}

TEST(V8Number, WritesWhatV8Writes) {
  for (const auto& [hex, value] : kNumbers) {
    if (hex[1] != 'e') continue;
    EXPECT_EQ(to_hex(encode_v8_number(value)), "ff0f" + std::string(hex));
  }
  EXPECT_EQ(to_hex(encode_v8_number(1.0)), "ff0f4e000000000000f03f");
  for (const auto& [hex, value] : kBigInts) {
    const std::string bytes = from_hex("ff10" + std::string(hex));
    const auto number = parse_v8_number(bytes);
    ASSERT_TRUE(number.has_value());
    EXPECT_EQ(to_hex(encode_v8_number(std::get<BigIntView>(*number))), "ff0f" + std::string(hex));
  }
}

TEST(V8Number, WritesNormalForms) {
  EXPECT_EQ(to_hex(encode_v8_number(BigIntView{true, ""})), "ff0f5a00");
  EXPECT_EQ(to_hex(encode_v8_number(BigIntView{true, from_hex("0000")})), "ff0f5a00");
  EXPECT_EQ(to_hex(encode_v8_number(BigIntView{true, from_hex("010000000000000000")})),
            "ff0f5a110100000000000000");
  EXPECT_EQ(to_hex(encode_v8_number(std::bit_cast<double>(0xfff8000000000123u))), "ff0f4e000000000000f87f");
}

TEST(V8Number, OtherKindsAreToldFromWhatIsNoValue) {
  for (const std::string version : {"ff0d", "ff0e", "ff0f", "ff10"}) {
    for (const char* hex : kOtherKinds) EXPECT_EQ(parse_hex(version + hex), "other") << hex;
  }
  for (const char* hex : {"ff0f2d", "ff0f7b00", "ff0f5e00", "ff0fff0f4902", "ff0f01", "ff0f80"}) {
    EXPECT_EQ(parse_hex(hex), "invalid") << hex;
  }
}

TEST(V8Number, AcceptsTheVersionsThatV8Accepts) {
  for (int version = 0; version < 256; ++version) {
    const std::string bytes = {'\xff', static_cast<char>(version), 'I', 2};
    EXPECT_EQ(parse(bytes), version >= 13 && version <= 16 ? as_double(1) : "invalid") << version;
  }
  EXPECT_EQ(parse_hex("4902"), "invalid");
  EXPECT_EQ(parse_hex("ff8f00 4902"), as_double(1));
  EXPECT_EQ(parse_hex("ff8f80808010 4902"), "invalid");  // 15 in the lowest 32 bits
}

TEST(V8Number, SkipsPaddingAndObjectCounts) {
  EXPECT_EQ(parse_hex("ff0f 00 4902"), as_double(1));
  EXPECT_EQ(parse_hex("ff0f 000000 4902"), as_double(1));
  EXPECT_EQ(parse_hex("ff0f 3f01 4902"), as_double(1));
  EXPECT_EQ(parse_hex("ff0f 00 3f01 00 3fff01 00 4902"), as_double(1));
  EXPECT_EQ(parse_hex("ff0f 00 220161"), "other");
  EXPECT_EQ(parse_hex("ff0f 0000"), "invalid");
  EXPECT_EQ(parse_hex("ff0f 3f"), "invalid");
  EXPECT_EQ(parse_hex("ff0f 3f01"), "invalid");
  EXPECT_EQ(parse("\xff\x0f" + std::string(100000, '\0') + "I\x02"), as_double(1));
}

TEST(V8Number, BigIntsNeedNoWholeDigits) {
  EXPECT_EQ(parse_hex("ff0f5a 02 01"), "+01");
  EXPECT_EQ(parse_hex("ff0f5a 02 00"), "+");  // denokv's 0n
  EXPECT_EQ(parse_hex("ff0f5a 04 01ff"), "+ff01");
  EXPECT_EQ(parse_hex("ff0f5a 12 010203040506070809"), "+090807060504030201");
  EXPECT_EQ(parse_hex("ff0f5a 20 01000000000000000000000000000000"), "+01");
  EXPECT_EQ(parse_hex("ff0f5a 9000 0100000000000000"), "+01");
}

TEST(V8Number, ThereIsNoNegativeZeroBigInt) {
  EXPECT_EQ(parse_hex("ff0f5a 01"), "invalid");
  EXPECT_EQ(parse_hex("ff0f5a 11 0000000000000000"), "+");
}

TEST(V8Number, EveryNaNIsTheSame) {
  const std::string nan = as_double(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(parse_hex("ff0f4e 010000000000f07f"), nan);
  EXPECT_EQ(parse_hex("ff0f4e ffffffffffffffff"), nan);
}

TEST(V8Number, NothingFollowsANumber) {
  for (const char* hex :
       {"ff0f490200", "ff0f4902ff", "ff0f5a0000", "ff0f4e000000000000f83f00", "ff0f550249"}) {
    EXPECT_EQ(parse_hex(hex), "invalid") << hex;
  }
}

TEST(V8Number, VarintsHave32Bits) {
  EXPECT_EQ(parse_hex("ff0f49 828000"), as_double(1));
  EXPECT_EQ(parse_hex("ff0f49 ffffffff1f"), "invalid");
  EXPECT_EQ(parse_hex("ff0f55 8080808010"), "invalid");
  EXPECT_EQ(parse_hex("ff0f55 80808080808080808080808000"), "invalid");
  EXPECT_EQ(parse_hex("ff0f5a 8080808010"), "invalid");
  EXPECT_EQ(parse_hex("ff0f3f 8080808010 4902"), "invalid");
}

TEST(V8Number, ALengthBeyondTheBytesOrTheLimitIsInvalid) {
  EXPECT_EQ(parse_hex("ff0f5a ffffffff0f 01"), "invalid");
  EXPECT_EQ(parse_hex("ff0f5a feffffff0f 01"), "invalid");
  EXPECT_EQ(parse_hex("ff0f5a 10 01020304050607"), "invalid");
  std::string longest = from_hex("ff0f5a 8080808001");
  longest.resize(longest.size() + kMaxBigIntBytes, '\x01');
  const auto number = parse_v8_number(longest);
  ASSERT_TRUE(number.has_value());
  EXPECT_EQ(std::get<BigIntView>(*number).magnitude.size(), kMaxBigIntBytes);
  longest[3] = '\x82';
  longest.push_back('\x01');
  EXPECT_EQ(describe(parse_v8_number(longest)), "invalid");
}

TEST(V8Number, ATruncatedNumberIsInvalid) {
  EXPECT_EQ(parse(""), "invalid");
  const auto check = [](const std::string& bytes) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(parse(std::string_view(bytes).substr(0, size)), "invalid") << to_hex(bytes) << " " << size;
    }
  };
  for (const auto& [hex, value] : kNumbers) check(from_hex("ff0f" + std::string(hex)));
  for (const auto& [hex, value] : kBigInts) check(from_hex("ff10" + std::string(hex)));
}

// Whatever is read, is read again as the same after it was written.
TEST(V8Number, DamagedBytesAreReadWithoutHarm) {
  size_t read = 0;
  const auto check = [&](std::string bytes) {
    for (char& c : bytes) {
      const char original = c;
      for (int value = 0; value < 256; ++value) {
        c = static_cast<char>(value);
        const std::string description = parse(bytes);
        const auto number = parse_v8_number(bytes);
        ASSERT_EQ(describe(number), description);
        if (!number) continue;
        ++read;
        const std::string again = std::visit([](auto n) { return encode_v8_number(n); }, *number);
        ASSERT_EQ(parse(again), description) << to_hex(bytes);
      }
      c = original;
    }
  };
  for (const auto& [hex, value] : kNumbers) check(from_hex("ff0f" + std::string(hex)));
  for (const auto& [hex, value] : kBigInts) check(from_hex("ff10" + std::string(hex)));
  for (const char* hex : kOtherKinds) check(from_hex("ff0f" + std::string(hex)));
  EXPECT_GT(read, 10000u);
}

}  // namespace
}  // namespace tidemark::kv
