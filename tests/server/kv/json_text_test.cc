#include "server/kv/json_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <boost/json.hpp>
#include <cmath>

#include "engine/base/random.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

constexpr size_t kDepth = 16;

// What comes of a text when it is read and written.
std::string again(std::string_view text) {
  const auto value = parse_json(text, kDepth);
  return value ? to_json(*value) : "refused: " + value.error().message;
}

TEST(JsonText, ComesBackAsItWas) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-1",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "18446744073709551615",
                           "1.0",
                           "-0.0",
                           "0.1",
                           "0.30000000000000004",
                           "5e-324",
                           "1.7976931348623157e+308",
                           "1e+21",
                           "123456789012345683968.0",
                           "0.0000001",
                           "1e-08",
                           "1.5e-09",
                           "\"\"",
                           "\"a\\\"\\\\\\n\\t\\r\\u0001\\u007f/€😀\"",
                           "[]",
                           "{}",
                           "[1,[2,{\"a\":[]}]]",
                           "{\"b\":1,\"a\":{\"\":null}}"}) {
    EXPECT_EQ(again(text), text);
  }
}

TEST(JsonText, OtherSpellings) {
  EXPECT_EQ(again(" [ 1 , 2 ]\t\r\n"), "[1,2]");
  EXPECT_EQ(again("-0"), "-0.0");
  EXPECT_EQ(again("[-0,0]"), "[-0.0,0]");
  EXPECT_EQ(again("1E2"), "100.0");
  EXPECT_EQ(again("18446744073709551616"), "18446744073709551616.0");
  EXPECT_EQ(again("-9223372036854775809"), "-9223372036854775808.0");
  EXPECT_EQ(again("1e-400"), "0.0");
  EXPECT_EQ(again("-1e-400"), "-0.0");
  EXPECT_EQ(again(R"("\u00e9\ud83d\ude00\/")"), "\"é😀/\"");
  EXPECT_EQ(again(R"({"a":1,"a":2})"), R"({"a":2})");
}

TEST(JsonText, Refusals) {
  for (const char* text :
       {"",    "[1,",     "{\"a\"", "nul",   "[1]]", "1 2",         "{a:1}",    "[1,]",
        "01",  "+1",      ".5",     "1.",    "NaN",  "\"\\ud800\"", "\"\xff\"", "\"\xed\xa0\x80\"",
        "'a'", "// c\n1", "1e999",  "-1e309"}) {
    const auto value = parse_json(text, kDepth);
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(value.error().message.empty());
  }
  EXPECT_EQ(again("[1,"), "refused: it is cut short");
  EXPECT_EQ(again("1e999"), "refused: a number in it is larger than any that there is");
}

TEST(JsonText, Depth) {
  EXPECT_EQ(again(std::string(kDepth, '[') + std::string(kDepth, ']')),
            std::string(kDepth, '[') + std::string(kDepth, ']'));
  EXPECT_EQ(again(std::string(kDepth + 1, '[') + std::string(kDepth + 1, ']')),
            "refused: it is nested more than 16 deep");
  EXPECT_EQ(again(std::string(1'000'000, '[')), "refused: it is nested more than 16 deep");
}

// Boost's own reader is off by a bit for some of these.
TEST(JsonText, AllDoublesComeBack) {
  Random random(1);
  for (int i = 0; i < 100'000; ++i) {
    const double number = std::bit_cast<double>(random.next());
    if (!std::isfinite(number)) continue;
    const auto read = parse_json(to_json(json::value(number)), kDepth);
    ASSERT_TRUE(read && read->is_double()) << number;
    ASSERT_EQ(std::bit_cast<uint64_t>(read->get_double()), std::bit_cast<uint64_t>(number)) << number;
  }
}

}  // namespace
}  // namespace tidemark::kv
