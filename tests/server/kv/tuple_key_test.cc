#include "server/kv/tuple_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <limits>

#include "server/kv/json_text.h"

namespace tidemark::kv {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string bytes(std::initializer_list<int> list) {
  std::string out;
  for (const int byte : list) out.push_back(static_cast<char>(byte));
  return out;
}

BigInteger big(const char* text) {
  return big_integer_from_text(text).value();
}

std::string form_of(std::string_view key) {
  return to_json(key_form(key));
}

// The bytes of a form, or why there are none.
std::string from_form(const char* text) {
  const auto form = parse_json(text, 8);
  if (!form) return "no JSON";
  const auto key = key_from_form(*form);
  return key ? *key : "refused: " + key.error().message;
}

TEST(TupleKey, OrderOfPartsIsOrderOfBytes) {
  const std::vector<KeyPart> ascending = {KeyBytes{""},
                                          KeyBytes{std::string("\0", 1)},
                                          KeyBytes{std::string("\0\1", 2)},
                                          KeyBytes{"a"},
                                          KeyBytes{"\xff"},
                                          std::string(),
                                          std::string("\0", 1),
                                          std::string("a"),
                                          std::string("a\0", 2),
                                          std::string("ab"),
                                          std::string("é"),
                                          big("-0x1000000000000000000"),
                                          big("-18446744073709551616"),
                                          big("-18446744073709551615"),
                                          big("-256"),
                                          big("-255"),
                                          big("-1"),
                                          big("0"),
                                          big("1"),
                                          big("255"),
                                          big("256"),
                                          big("18446744073709551615"),
                                          big("18446744073709551616"),
                                          big("0x1000000000000000000"),
                                          -kNan,
                                          -kInfinity,
                                          -1e300,
                                          -1.0,
                                          -5e-324,
                                          -0.0,
                                          0.0,
                                          5e-324,
                                          1.0,
                                          1e300,
                                          kInfinity,
                                          kNan,
                                          false,
                                          true};
  std::vector<std::string> keys;
  for (const KeyPart& part : ascending) {
    keys.push_back(encode_key({part}).value());
    const auto again = decode_key(keys.back());
    ASSERT_TRUE(again && again->size() == 1);
    EXPECT_EQ(encode_key(*again).value(), keys.back());
    EXPECT_EQ(key_from_form(key_form(keys.back())).value(), keys.back());
    EXPECT_EQ(form_of(keys.back()).find("$raw"), std::string::npos);
  }
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
}

TEST(TupleKey, Forms) {
  EXPECT_EQ(form_of(""), "[]");
  EXPECT_EQ(form_of(bytes({2, 'a', 0, 0xff, 'b', 0, 0x26, 0x27})), R"(["a\u0000b",false,true])");
  EXPECT_EQ(form_of(encode_key({1.0, -0.0, 0.5, 9007199254740991.0, 9007199254740992.0, 1e21}).value()),
            "[1,-0.0,0.5,9007199254740991,9007199254740992.0,1e+21]");
  EXPECT_EQ(form_of(encode_key({kNan, -kNan, kInfinity, -kInfinity}).value()),
            R"([{"$number":"NaN"},{"$number":"-NaN"},{"$number":"Infinity"},{"$number":"-Infinity"}])");
  EXPECT_EQ(form_of(encode_key({big("-12"), KeyBytes{"\1\2"}}).value()),
            R"([{"$bigint":"-12"},{"$bytes":"AQI="}])");
}

TEST(TupleKey, WhatDoesNotDecodeIsRaw) {
  for (const std::string& key : {
           bytes({0}),  // no such tag
           bytes({3}),
           bytes({0x20, 0, 0, 0, 0}),  // a float of FoundationDB
           bytes({0x28}),
           bytes({2, 'a'}),  // no end
           bytes({2, 'a', 0, 0xff}),
           bytes({2, 0xff, 0}),              // no UTF-8
           bytes({2, 0xed, 0xa0, 0x80, 0}),  // a surrogate
           bytes({0x15}),                    // cut short
           bytes({0x15, 0}),                 // zeros in front
           bytes({0x16, 0, 1}),
           bytes({0x13, 0xff}),
           bytes({0x1d, 8, 1, 2, 3, 4, 5, 6, 7, 8}),  // long, but fits the short form
           bytes({0x1d, 0}),
           bytes({0x1d, 9, 0, 2, 3, 4, 5, 6, 7, 8, 9}),
           bytes({0x1d, 9, 1}),
           bytes({0x0b, 0xf7, 1, 2, 3, 4, 5, 6, 7, 8}),
           bytes({0x21, 0x80, 0, 0, 0, 0, 0, 0}),
           bytes({0x21, 0xff, 0xf8, 0, 0, 0, 0, 0, 1}),  // another NaN
           bytes({0x21, 0xff, 0xf0, 0, 0, 0, 0, 0, 1}),
       }) {
    EXPECT_FALSE(decode_key(key));
    EXPECT_TRUE(form_of(key).starts_with(R"({"$raw":")")) << form_of(key);
    EXPECT_EQ(key_from_form(key_form(key)).value(), key);
  }
}

TEST(TupleKey, FormsByHand) {
  EXPECT_EQ(from_form("[1.0]"), from_form("[1]"));
  EXPECT_EQ(from_form("[18446744073709551615]"), encode_key({18446744073709551615.0}).value());
  EXPECT_EQ(from_form(R"([{"$bigint":"0xff"}])"), encode_key({big("255")}).value());
  // A key that has parts may be given as its bytes, too.
  EXPECT_EQ(from_form(R"({"$raw":"Jg=="})"), bytes({0x26}));
  for (const char* text : {"1",
                           "null",
                           "\"a\"",
                           "{}",
                           R"({"$raw":1})",
                           R"({"$raw":"?"})",
                           R"({"$raw":"","x":1})",
                           "[null]",
                           "[[]]",
                           "[{}]",
                           R"([{"$bytes":"?"}])",
                           R"([{"$bytes":"","x":1}])",
                           R"([{"$bytes":1}])",
                           R"([{"$bigint":"1.5"}])",
                           R"([{"$bigint":""}])",
                           R"([{"$bigint":"-0"}])",
                           R"([{"$bigint":"01"}])",
                           R"([{"$bigint":1}])",
                           R"([{"$number":"nan"}])",
                           R"([{"$number":"1"}])",
                           R"([{"$raw":""}])"}) {
    EXPECT_TRUE(from_form(text).starts_with("refused: ")) << text;
  }
  const std::string longest = "0x1" + std::string(508, '0');
  EXPECT_EQ(from_form((R"([{"$bigint":")" + longest + "\"}]").c_str()).size(), 257u);
  EXPECT_EQ(from_form((R"([{"$bigint":")" + longest + "00\"}]").c_str()),
            "refused: a bigint of a key has more than 255 bytes");
  EXPECT_FALSE(encode_key({std::string("\xff")}));
}

TEST(BigIntegerText, ThereAndBack) {
  for (const char* text :
       {"0", "1", "-1", "9", "10", "999999999", "1000000000", "-1000000001", "4294967295", "4294967296",
        "18446744073709551615", "18446744073709551616", "-340282366920938463463374607431768211456"}) {
    EXPECT_EQ(to_text(big(text).view()), text);
  }
  EXPECT_EQ(to_text(big("0xFFffffFFff").view()), "1099511627775");
  EXPECT_EQ(big("0x0"), BigInteger());
  // At the seam between decimal and hex.
  const BigInteger decimal{false, std::string(kMaxDecimalBytes, '\xff')};
  const BigInteger hex{true, std::string(kMaxDecimalBytes, '\0') + "\x01"};
  EXPECT_EQ(to_text(decimal.view()).size(), 2467u);
  EXPECT_EQ(to_text(hex.view()), "-0x1" + std::string(2 * kMaxDecimalBytes, '0'));
  for (const BigInteger& number : {decimal, hex}) EXPECT_EQ(big(to_text(number.view()).c_str()), number);
  for (const char* text :
       {"", "-", "0x", "-0x", "+1", "01", "-0", "0x01", "1a", "0xg", " 1", "1 ", "1.0", "--1"})
    EXPECT_FALSE(big_integer_from_text(text)) << text;
  EXPECT_FALSE(big_integer_from_text(std::string(3000, '9')));
}

}  // namespace
}  // namespace tidemark::kv
