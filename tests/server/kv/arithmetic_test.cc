// Every line of the tables in the header, and sums of random BigInts against arithmetic done byte by byte.
#include "server/kv/arithmetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/base/coding.h"
#include "engine/base/random.h"
#include "server/kv/request_limits.h"
#include "server/kv/v8_number.h"
#include "tests/server/kv/v8_bytes.h"

namespace tidemark::kv {
namespace {

using test::from_hex;
using test::to_hex;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Value {
  Encoding encoding;
  std::string data;
};

Value le64(uint64_t number) {
  Value value{Encoding::kLe64, {}};
  put_le64(value.data, number);
  return value;
}
Value number(double d) {
  return {Encoding::kV8, encode_v8_number(d)};
}
// At most 64 bits; longer ones are written as hex.
Value big(int64_t n) {
  std::string magnitude;
  put_le64(magnitude, n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n));
  return {Encoding::kV8, encode_v8_number(BigIntView{n < 0, magnitude})};
}
Value v8(std::string_view hex) {
  return {Encoding::kV8, from_hex(hex)};
}
Value bytes(std::string data) {
  return {Encoding::kBytes, std::move(data)};
}

const Value kTwoTo64 = v8("ff0f5a2000000000000000000100000000000000");

struct Options {
  std::string min;
  std::string max;
  bool clamp = false;
};

ArithmeticMutation mutation_of(MutationType type, const Value& operand, const Options& options) {
  return {type, operand.encoding, operand.data, options.min, options.max, options.clamp};
}

// The result as text: its encoding and bytes, or why there is none.
std::string describe(Encoding encoding, std::string_view data) {
  return std::to_string(static_cast<int>(encoding)) + ":" + to_hex(data);
}
std::string describe(const Value& value) {
  return describe(value.encoding, value.data);
}

std::string check(MutationType type, const Value& operand, const Options& options = {}) {
  const Status status = check_arithmetic(mutation_of(type, operand, options));
  if (status) return "fine";
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  return status.error().message;
}

std::string apply(MutationType type, const std::optional<Value>& stored, const Value& operand,
                  const Options& options = {}) {
  std::optional<StoredValue> found;
  if (stored) found = StoredValue{stored->encoding, 0, stored->data};
  const Result<ArithmeticResult> result = apply_arithmetic(mutation_of(type, operand, options), found);
  if (!result) {
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    return result.error().message;
  }
  EXPECT_EQ(check(type, operand, options), "fine");
  return describe(result->encoding, result->data);
}

std::string sum(const std::optional<Value>& stored, const Value& operand, const Options& options = {}) {
  return apply(MutationType::kSum, stored, operand, options);
}

// ---------------------------------------------------------------------------------------------
// What the request alone decides

// Refused by the check, and by the mutation whatever is stored.
void expect_refused(MutationType type, const Value& operand, const Options& options,
                    const std::string& text) {
  EXPECT_EQ(check(type, operand, options), text);
  EXPECT_EQ(apply(type, std::nullopt, operand, options), text);
  EXPECT_EQ(apply(type, number(1), operand, options), text);
  EXPECT_EQ(apply(type, le64(1), operand, options), text);
}

TEST(ArithmeticCheck, MinAndMaxTakeLe64Only) {
  for (const Value& operand : {number(1), big(1), v8(""), bytes("12345678")}) {
    expect_refused(MutationType::kMin, operand, {}, "Failed to perform 'min' mutation on a non-U64 operand");
    expect_refused(MutationType::kMax, operand, {}, "Failed to perform 'max' mutation on a non-U64 operand");
  }
}

TEST(ArithmeticCheck, Le64Is8Bytes) {
  for (const MutationType type : {MutationType::kSum, MutationType::kMin, MutationType::kMax}) {
    EXPECT_EQ(check(type, le64(1)), "fine");
    for (const char* data : {"", "1234567", "123456789"}) {
      expect_refused(type, {Encoding::kLe64, data}, {}, text::kBadLe64);
    }
  }
}

TEST(ArithmeticCheck, ALe64OperandIgnoresBounds) {
  for (const Options& options : {Options{number(5).data, big(1).data, true}, Options{"?", "?", false}}) {
    EXPECT_EQ(sum(le64(40), le64(2), options), describe(le64(42)));
    EXPECT_EQ(apply(MutationType::kMin, le64(40), le64(2), options), describe(le64(2)));
    EXPECT_EQ(apply(MutationType::kMax, le64(40), le64(2), options), describe(le64(40)));
  }
}

TEST(ArithmeticCheck, SumsNeedNumbers) {
  const std::string text = "Some of the parameters are not valid V8 values";
  const std::string string_v8 = from_hex("ff0f220161");
  for (const Value& operand : {bytes("12345678"), bytes(""), bytes(number(1).data), v8(""), v8("ff0f220161"),
                               v8("ff0f5f"), v8("ff0f6e000000000000f83f"), v8("ff0f49"), v8("4902")}) {
    expect_refused(MutationType::kSum, operand, {}, text);
  }
  for (const std::string& bad : {string_v8, std::string("?"), from_hex("ff0f49")}) {
    expect_refused(MutationType::kSum, number(1), {bad, "", false}, text);
    expect_refused(MutationType::kSum, number(1), {"", bad, true}, text);
    // Comes before the types.
    expect_refused(MutationType::kSum, number(1), {big(1).data, bad, false}, text);
    expect_refused(MutationType::kSum, big(1), {bad, number(1).data, false}, text);
  }
}

TEST(ArithmeticCheck, BoundsAreOfTheOperandsType) {
  const std::string text = "Min/max parameters have different types than the operand";
  expect_refused(MutationType::kSum, number(1), {big(1).data, "", false}, text);
  expect_refused(MutationType::kSum, number(1), {"", big(1).data, true}, text);
  expect_refused(MutationType::kSum, number(1), {number(1).data, big(1).data, false}, text);
  expect_refused(MutationType::kSum, big(1), {number(1).data, big(1).data, false}, text);
  expect_refused(MutationType::kSum, big(1), {"", number(1).data, false}, text);
  // int32, uint32 and double are one type.
  EXPECT_EQ(check(MutationType::kSum, number(1.5), {from_hex("ff0f4902"), from_hex("ff0f5503"), false}),
            "fine");
}

// ---------------------------------------------------------------------------------------------
// LE64

TEST(ArithmeticLe64, AbsentGivesTheOperand) {
  for (const MutationType type : {MutationType::kSum, MutationType::kMin, MutationType::kMax}) {
    EXPECT_EQ(apply(type, std::nullopt, le64(7)), describe(le64(7)));
  }
}

TEST(ArithmeticLe64, SumsWrap) {
  EXPECT_EQ(sum(le64(40), le64(2)), describe(le64(42)));
  EXPECT_EQ(sum(le64(UINT64_MAX), le64(1)), describe(le64(0)));
  EXPECT_EQ(sum(le64(UINT64_MAX), le64(UINT64_MAX)), describe(le64(UINT64_MAX - 1)));
}

TEST(ArithmeticLe64, MinAndMaxAreUnsigned) {
  EXPECT_EQ(apply(MutationType::kMin, le64(UINT64_MAX), le64(1)), describe(le64(1)));
  EXPECT_EQ(apply(MutationType::kMin, le64(1), le64(UINT64_MAX)), describe(le64(1)));
  EXPECT_EQ(apply(MutationType::kMax, le64(UINT64_MAX), le64(1)), describe(le64(UINT64_MAX)));
  EXPECT_EQ(apply(MutationType::kMax, le64(1), le64(UINT64_MAX)), describe(le64(UINT64_MAX)));
}

TEST(ArithmeticLe64, TheStoredValueMustBeLe64) {
  for (const Value& stored : {number(1), big(1), v8(""), bytes("12345678")}) {
    EXPECT_EQ(sum(stored, le64(1)), "Failed to perform 'sum' mutation on a non-U64 value in the database");
    EXPECT_EQ(apply(MutationType::kMin, stored, le64(1)),
              "Failed to perform 'min' mutation on a non-U64 value in the database");
    EXPECT_EQ(apply(MutationType::kMax, stored, le64(1)),
              "Failed to perform 'max' mutation on a non-U64 value in the database");
  }
}

TEST(ArithmeticLe64, TakesABigIntThatFits) {
  EXPECT_EQ(sum(le64(43), big(1)), describe(le64(44)));
  EXPECT_EQ(sum(le64(43), big(0)), describe(le64(43)));
  EXPECT_EQ(sum(le64(2), v8("ff105a10ffffffffffffffff")), describe(le64(1)));
  EXPECT_EQ(sum(le64(1), v8("ff0f5a20 ffffffffffffffff 0000000000000000")), describe(le64(0)));
}

TEST(ArithmeticLe64, TakesNoOtherBigInt) {
  const std::string text = "Cannot sum KvU64 with BigInt";
  EXPECT_EQ(sum(le64(43), big(-1)), text);
  EXPECT_EQ(sum(le64(43), kTwoTo64), text);
  EXPECT_EQ(sum(le64(43), big(1), {big(0).data, "", false}), text);
  EXPECT_EQ(sum(le64(43), big(1), {"", big(100).data, false}), text);
  EXPECT_EQ(sum(le64(43), big(1), {"", "", true}), text);
}

TEST(ArithmeticLe64, TakesNoNumber) {
  EXPECT_EQ(sum(le64(43), number(1)), "Cannot sum KvU64 with Number");
  EXPECT_EQ(sum(le64(43), v8("ff0f4902")), "Cannot sum KvU64 with Number");
}

// ---------------------------------------------------------------------------------------------
// V8

TEST(ArithmeticV8, AbsentGivesTheOperandUnbounded) {
  EXPECT_EQ(sum(std::nullopt, number(7), {number(10).data, "", true}), describe(number(7)));
  EXPECT_EQ(sum(std::nullopt, number(7), {"", number(1).data, false}), describe(number(7)));
  EXPECT_EQ(sum(std::nullopt, big(7), {big(10).data, "", false}), describe(big(7)));
  EXPECT_EQ(sum(std::nullopt, number(kNaN)), describe(number(kNaN)));
  // Written anew: a double of version 15, a BigInt of whole digits.
  EXPECT_EQ(sum(std::nullopt, v8("ff104902")), "1:ff0f4e000000000000f03f");
  EXPECT_EQ(sum(std::nullopt, v8("ff105a0207")), "1:ff0f5a100700000000000000");
}

TEST(ArithmeticV8, OtherStoredKindsAreRefused) {
  for (const Value& operand : {number(1), big(1)}) {
    for (const Value& stored : {bytes("123"), bytes(""), bytes(number(1).data), v8("ff0f220161"),
                                v8("ff0f5f"), v8("ff106f7b00"), v8("ff0f7a100100000000000000")}) {
      EXPECT_EQ(sum(stored, operand),
                "Failed to perform 'sum' mutation on an unsupported value type in the database");
    }
    for (const Value& stored : {v8(""), v8("ff0f"), v8("4902"), v8("ff0f490200"), v8("ff114902")}) {
      EXPECT_EQ(sum(stored, operand),
                "Failed to perform 'sum' mutation on an invalid v8 value in the database");
    }
  }
}

TEST(ArithmeticV8, TypesMustAgree) {
  EXPECT_EQ(sum(big(1), number(1)), "Cannot sum BigInt with Number");
  EXPECT_EQ(sum(number(1), big(1)), "Cannot sum Number with BigInt");
  // Even where the bounds would refuse it.
  EXPECT_EQ(sum(number(1), big(1), {big(10).data, "", false}), "Cannot sum Number with BigInt");
}

TEST(ArithmeticV8, NumbersOfAllKindsAdd) {
  EXPECT_EQ(sum(number(0.5), number(0.25)), describe(number(0.75)));
  EXPECT_EQ(sum(v8("ff104902"), v8("ff0f5503")), describe(number(4)));
  EXPECT_EQ(sum(v8("ff0f49feffffff0f"), v8("ff0f4902")), describe(number(2147483648)));
  EXPECT_EQ(sum(number(1), number(-1)), describe(number(0)));
  EXPECT_EQ(sum(number(-0.0), number(-0.0)), describe(number(-0.0)));
  EXPECT_EQ(sum(number(-0.0), number(0)), describe(number(0)));
  EXPECT_EQ(sum(number(9007199254740992), number(1)), describe(number(9007199254740992)));
  EXPECT_EQ(sum(number(1.7e308), number(1.7e308)), describe(number(kInfinity)));
}

TEST(ArithmeticV8, NumbersAreBounded) {
  const std::string out_of_range = "The result of a Sum operation would exceed its range limit";
  const std::string lo = number(-10).data;
  const std::string hi = number(10).data;
  EXPECT_EQ(sum(number(9), number(1), {lo, hi, false}), describe(number(10)));
  EXPECT_EQ(sum(number(-9), number(-1), {lo, hi, false}), describe(number(-10)));
  EXPECT_EQ(sum(number(9), number(2), {lo, hi, false}), out_of_range);
  EXPECT_EQ(sum(number(-9), number(-2), {lo, hi, false}), out_of_range);
  EXPECT_EQ(sum(number(9), number(2), {lo, hi, true}), describe(number(10)));
  EXPECT_EQ(sum(number(-9), number(-2), {lo, hi, true}), describe(number(-10)));
  EXPECT_EQ(sum(number(9), number(2), {lo, "", false}), describe(number(11)));
  EXPECT_EQ(sum(number(-9), number(-2), {"", hi, false}), describe(number(-11)));
  EXPECT_EQ(sum(number(9), number(2), {"", "", true}), describe(number(11)));
  // A bound applies to where the value goes, not to where it was.
  EXPECT_EQ(sum(number(100), number(-95), {lo, hi, false}), describe(number(5)));
  EXPECT_EQ(sum(number(100), number(-5), {lo, hi, false}), out_of_range);
  // A bound in int32, a result in double.
  EXPECT_EQ(sum(number(9), number(2), {"", from_hex("ff0f4902"), true}), describe(number(1)));
  EXPECT_EQ(sum(number(1), number(kInfinity), {lo, hi, true}), describe(number(10)));
  EXPECT_EQ(sum(number(1), number(kInfinity), {lo, hi, false}), out_of_range);
}

TEST(ArithmeticV8, NaNIsNeitherBelowNorAbove) {
  const Options bounded = {number(-10).data, number(10).data, true};
  EXPECT_EQ(sum(number(kNaN), number(1), bounded), describe(number(kNaN)));
  EXPECT_EQ(sum(number(1), number(kNaN), {bounded.min, bounded.max, false}), describe(number(kNaN)));
  EXPECT_EQ(sum(number(kInfinity), number(-kInfinity), bounded), "1:ff0f4e000000000000f87f");
  const std::string nan = number(kNaN).data;
  EXPECT_EQ(sum(number(99), number(1), {nan, nan, false}), describe(number(100)));
  EXPECT_EQ(sum(number(99), number(1), {nan, number(10).data, true}), describe(number(10)));
}

TEST(ArithmeticV8, BigIntsAdd) {
  EXPECT_EQ(sum(big(42), big(1)), describe(big(43)));
  EXPECT_EQ(sum(big(1), big(-1)), "1:ff0f5a00");
  EXPECT_EQ(sum(big(0), big(0), {big(0).data, big(0).data, false}), "1:ff0f5a00");
  EXPECT_EQ(sum(big(0), big(-7)), describe(big(-7)));
  EXPECT_EQ(sum(big(7), v8("ff0f5a0200")), describe(big(7)));
  EXPECT_EQ(sum(big(-5), big(3)), describe(big(-2)));
  EXPECT_EQ(sum(v8("ff105a10ffffffffffffffff"), big(1)), describe(kTwoTo64));
  EXPECT_EQ(sum(kTwoTo64, big(-1)), "1:ff0f5a10ffffffffffffffff");
  // -(2^63) - 1, and -(2^64 - 1) - 1
  EXPECT_EQ(sum(v8("ff0f5a110000000000000080"), big(-1)), "1:ff0f5a110100000000000080");
  EXPECT_EQ(sum(v8("ff0f5a11ffffffffffffffff"), big(-1)), "1:ff0f5a2100000000000000000100000000000000");
}

TEST(ArithmeticV8, BigIntsAreBounded) {
  const std::string out_of_range = "The result of a Sum operation would exceed its range limit";
  EXPECT_EQ(sum(big(43), big(2), {"", big(44).data, false}), out_of_range);
  EXPECT_EQ(sum(big(43), big(1), {"", big(44).data, false}), describe(big(44)));
  EXPECT_EQ(sum(big(44), big(10), {"", big(50).data, true}), describe(big(50)));
  EXPECT_EQ(sum(big(-5), big(-1), {big(-5).data, "", false}), out_of_range);
  EXPECT_EQ(sum(big(-5), big(-1), {big(-6).data, "", false}), describe(big(-6)));
  EXPECT_EQ(sum(big(-5), big(-9), {big(-7).data, big(7).data, true}), describe(big(-7)));
  EXPECT_EQ(sum(big(5), big(5), {"", "", true}), describe(big(10)));
  EXPECT_EQ(sum(big(5), big(5), {kTwoTo64.data, "", true}), describe(kTwoTo64));
}

TEST(ArithmeticV8, OfCrossedBoundsTheUpperOneWins) {
  const Options numbers = {number(10).data, number(5).data, true};
  const Options big_ints = {big(10).data, big(5).data, true};
  for (const int value : {0, 7, 20}) {
    EXPECT_EQ(sum(number(value), number(0), numbers), describe(number(5)));
    EXPECT_EQ(sum(big(value), big(0), big_ints), describe(big(5)));
    EXPECT_EQ(sum(big(value), big(0), {big_ints.min, big_ints.max, false}), text::kSumOutOfRange);
  }
}

// ---------------------------------------------------------------------------------------------
// Random BigInts, as two's complement of a fixed width with the lowest byte first

constexpr size_t kWidth = 640;

std::string negated(std::string n) {
  unsigned carry = 1;
  for (char& c : n) {
    carry += static_cast<uint8_t>(~c);
    c = static_cast<char>(carry);
    carry >>= 8;
  }
  return n;
}

std::string added(std::string a, const std::string& b) {
  unsigned carry = 0;
  for (size_t i = 0; i < kWidth; ++i) {
    carry += static_cast<uint8_t>(a[i]) + static_cast<uint8_t>(b[i]);
    a[i] = static_cast<char>(carry);
    carry >>= 8;
  }
  return a;
}

bool is_negative(const std::string& n) {
  return (n.back() & 0x80) != 0;
}

bool is_less(const std::string& a, const std::string& b) {
  return is_negative(added(a, negated(b)));
}

Value to_value(const std::string& n) {
  const bool negative = is_negative(n);
  return {Encoding::kV8, encode_v8_number(BigIntView{negative, negative ? negated(n) : n})};
}

// Lengths from 0 to 600 bytes, long runs of zeros and ones among them.
std::string random_big_int(Random& random) {
  std::string n(random.below(random.one_in(2) ? 20 : 600), '\0');
  const uint64_t style = random.below(4);
  for (char& c : n) c = static_cast<char>(style == 0 ? 0xff : style == 1 ? 0 : random.next());
  if (!n.empty() && random.one_in(2)) n.back() = static_cast<char>(random.next());
  n.resize(kWidth, '\0');
  return random.one_in(2) ? negated(n) : n;
}

TEST(ArithmeticV8, RandomBigIntsAddAsBytesDo) {
  Random random(2024);
  size_t bounded = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string a = random_big_int(random);
    const std::string b = random.one_in(8) ? negated(a) : random_big_int(random);
    std::string expected = added(a, b);
    ASSERT_EQ(sum(to_value(a), to_value(b)), describe(to_value(expected)));

    const bool exact = random.one_in(8);
    const std::string min = exact ? expected : random_big_int(random);
    const std::string max = exact ? expected : random_big_int(random);
    const bool fits = !is_less(expected, min) && !is_less(max, expected);
    if (is_less(expected, min)) expected = min;
    if (is_less(max, expected)) expected = max;
    const Options clamped = {to_value(min).data, to_value(max).data, true};
    ASSERT_EQ(sum(to_value(a), to_value(b), clamped), describe(to_value(expected)));
    ASSERT_EQ(sum(to_value(a), to_value(b), {clamped.min, clamped.max, false}),
              fits ? describe(to_value(expected)) : text::kSumOutOfRange);
    bounded += fits ? 0 : 1;
  }
  EXPECT_GT(bounded, 1000u);
  EXPECT_LT(bounded, 4900u);
}

TEST(ArithmeticV8, AFullValueGrowsByOneDigit) {
  const std::string ones(65536 - 8, '\xff');
  const Value full = {Encoding::kV8, encode_v8_number(BigIntView{false, ones})};
  ASSERT_LE(full.data.size(), Limits{}.max_value_bytes);
  std::string twice(1, '\xfe');
  twice += std::string(ones.size() - 1, '\xff') + '\x01';
  EXPECT_EQ(sum(full, full), describe({Encoding::kV8, encode_v8_number(BigIntView{false, twice})}));
}

}  // namespace
}  // namespace tidemark::kv
