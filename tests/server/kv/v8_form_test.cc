// What recorded_test.cc does not see: old versions, hostile bytes, forms written by hand.
#include "server/kv/v8_form.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "engine/base/base64.h"
#include "server/kv/json_text.h"
#include "server/kv/v8_format.h"
#include "server/kv/value_form.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;
using std::string_literals::operator""s;

json::value parsed(std::string_view text) {
  auto value = parse_json(text, v8::kMaxFormDepth);
  EXPECT_TRUE(value) << text;
  return value ? std::move(*value) : nullptr;
}

// The form of what follows the header, or "none".
std::string shown(std::string_view bytes, uint32_t version = 15) {
  const auto form = v8_to_form(std::string{'\xff', static_cast<char>(version)} + std::string(bytes));
  return form ? to_json(form->form) : "none";
}

// What a form becomes behind the header, or why nothing.
std::string written(std::string_view form, uint32_t version = 15) {
  const auto bytes = v8_from_form(parsed(form), version);
  return bytes ? bytes->substr(2) : "refused: " + bytes.error().message;
}

TEST(V8Form, OldVersions) {
  EXPECT_EQ(shown("R\x02"
                  "\xc3\xa9"
                  "\x00"s,
                  11),
            R"({"$regexp":"é","flags":""})");
  EXPECT_EQ(shown("s\x02"
                  "\xc3\xa9"s,
                  9),
            R"({"$boxed":"é"})");
  EXPECT_EQ(shown("S\x02"
                  "\xc3\xa9"s,
                  9),
            R"("é")");
  EXPECT_EQ(shown("B\x01xVB\x00\x01"s, 13), R"({"$uint8array":"eA=="})");
  EXPECT_EQ(shown("B\x01xVB\x00\x01"s, 14), "none");
  EXPECT_EQ(shown("U\x05"), "5");
  EXPECT_EQ(shown("?\x05\x00?\x01T"s), "true");
  EXPECT_EQ(shown("0", 8), "none");
  EXPECT_EQ(shown("0", 17), "none");
  EXPECT_EQ(value_form(Encoding::kV8, "\xff\x0cT").exact, false);
  EXPECT_EQ(written("true", 12), "refused: version 12 of V8's format cannot be written, only 13 to 16");
}

TEST(V8Form, WhatIsNoValue) {
  for (const std::string& bytes : {""s,
                                   "00"s,
                                   "X"s,
                                   "-"s,
                                   "I"s,
                                   "N1234567"s,
                                   "Z\x11"s,
                                   "Z\x01"s,
                                   "\"\x02"
                                   "a"s,
                                   "c\x01"
                                   "a"s,
                                   "S\x01\xff"s,
                                   "^\x00"s,
                                   "o"s,
                                   "o{\x01"s,
                                   "oI\x02{\x00"s,
                                   "o0T{\x01"s,
                                   "oT"s,
                                   "A\x01$\x00\x01"s,
                                   "A\x02TT$\x00\x01"s,
                                   "A\xff\xff\xff\xff\x0f"s,
                                   "a\x02@\x00\x03"s,
                                   ";T:\x01"s,
                                   ";TT:\x01"s,
                                   "'T,\x02"s,
                                   "D"s,
                                   "R\"\x01"
                                   "a\x80\x08"s,
                                   "RT\x00"s,
                                   "s0"s,
                                   "B\x02"
                                   "a"s,
                                   "~\x02\x01"
                                   "ab"s,
                                   "B\x01"
                                   "aVX\x00\x01\x00"s,
                                   "B\x01"
                                   "aVB\x01\x01\x00"s,
                                   "B\x01"
                                   "aVB\x00\x02\x00"s,
                                   "B\x02"
                                   "abVW\x01\x01\x00"s,
                                   "B\x02"
                                   "abVW\x00\x01\x00"s,
                                   "B\x01"
                                   "aVB\x00\x01\x01"s,
                                   "B\x01"
                                   "aVB\x00\x01\x02"s,
                                   "~\x01\x01"
                                   "aVB\x00\x01\x00"s,
                                   "B\x01"
                                   "aVB\x00\x01\x04"s,
                                   "TVB\x00\x00\x00"s,
                                   "r"s,
                                   "rm0."s,
                                   "rx."s,
                                   "rm\"\x00m\"\x00."s,
                                   "t\x00"s,
                                   "u\x00"s,
                                   "p\x00"s,
                                   "\\\x0d\x00"s,
                                   "\\\x01\x05"
                                   "a"s,
                                   "\\\xff\xff\xff\xff\x0f"s,
                                   "I\xff\xff\xff\xff\xff\x0f"s}) {
    EXPECT_EQ(shown(bytes), "none") << base64(bytes);
  }
}

TEST(V8Form, WhatV8WritesOtherwise) {
  // Shown, but not exact: the keys, an order, a padding, more digits than needed, another NaN.
  for (const auto& [bytes, form] :
       {std::pair{"o\"\x01\x31T{\x01"s, R"({"$object":[["1",true]]})"s},
        {"oI\x04TI\x02T{\x02"s, R"({"$object":[[2,true],[1,true]]})"s},
        {"o\"\x01"
         "aT\"\x01"
         "aF{\x02"s,
         R"({"$object":[["a",true],["a",false]]})"s},
        {"oN\x00\x00\x00\x00\x00\x00\xf8\x3fT{\x01"s, R"({"$object":[[1.5,true]]})"s},
        {"oI\x01T{\x01"s, R"({"$object":[[-1,true]]})"s}}) {
    EXPECT_EQ(shown(bytes), form);
    EXPECT_EQ(written(form), bytes);
  }
  for (const auto& [bytes, form] : {std::pair{"\x00T"s, "true"s},
                                    {"I\x82\x00"s, "1"s},
                                    {"Z\x02\x05"s, R"({"$bigint":"5"})"s},
                                    {"N\x01\x00\x00\x00\x00\x00\xf8\x7f"s, R"({"$number":"NaN"})"s},
                                    {"rs\"\x00m\"\x00."s, R"({"$error":"Error","message":"","stack":""})"s},
                                    {"oU\x02T{\x01"s, R"({"2":true})"s}}) {
    const std::string whole = "\xff\x0f" + bytes;
    const ValueForm value = value_form(Encoding::kV8, whole);
    EXPECT_EQ(to_json(value.form), form);
    EXPECT_FALSE(value.exact);
  }
}

TEST(V8Form, PlainJson) {
  // As Node's Serializer writes what JSON.parse() gives.
  EXPECT_EQ(written("1"), "I\x02");
  EXPECT_EQ(written("2147483648"), "N\x00\x00\x00\x00\x00\x00\xe0\x41"s);
  EXPECT_EQ(written("1.0"), "N\x00\x00\x00\x00\x00\x00\xf0\x3f"s);
  EXPECT_EQ(written("18446744073709551615"), "N\x00\x00\x00\x00\x00\x00\xf0\x43"s);
  EXPECT_EQ(written(R"({"b":1,"10":2,"a":[null],"2":{}})"),
            "oI\x04o{\x00I\x14I\x04\"\x01"
            "bI\x02\"\x01"
            "aA\x01\x30$\x00\x01{\x04"s);
  EXPECT_EQ(written(R"("é")"), "\"\x01\xe9"s);
  EXPECT_EQ(written(R"(["€"])"),
            "A\x01\x00"
            "c\x02\xac\x20$\x00\x01"s.substr(0, 2) +
                written(R"(["€"])").substr(2));
}

TEST(V8Form, FormsByHand) {
  EXPECT_EQ(written(R"({"$date":"1970-01-01T01:00:00+01:00"})"), written(R"({"$date":0})"));
  EXPECT_EQ(written(R"({"$boxed":1})"), written(R"({"$boxed":1.0})"));
  EXPECT_EQ(written(R"({"$regexp":"a"})"), written(R"({"$regexp":"a","flags":""})"));
  EXPECT_EQ(written(R"({"$uint8array":{"$arraybuffer":"AQI="}})"), written(R"({"$uint8array":"AQI="})"));
  EXPECT_EQ(written(R"({"$sparse":[1,{"$hole":true}]})"), "a\x02I\x00I\x02@\x01\x02"s);
  EXPECT_EQ(written(R"([{"$hole":true}])"), "A\x01-$\x00\x01"s);
  EXPECT_EQ(written(R"({"$object":[]})"), written("{}"));
  EXPECT_EQ(written(R"({"$error":"Error"})"), "r."s);
  EXPECT_EQ(written(R"({"$error":"Error","cause":{"$ref":0}})", 16), "rc^\x00."s);
}

TEST(V8Form, WhatIsNoForm) {
  for (const char* form : {R"({"$oid":"1"})",
                           R"({"a":{"$x":1}})",
                           R"({"$date":0,"x":1})",
                           R"({"$date":"today"})",
                           R"({"$date":null})",
                           R"({"$undefined":false})",
                           R"({"$hole":true})",
                           R"({"$number":"nan"})",
                           R"({"$number":1})",
                           R"({"$utf16":"YQ=="})",
                           R"({"$utf16":"?"})",
                           R"({"$bigint":"x"})",
                           R"({"$bigint":1})",
                           R"({"$boxed":null})",
                           R"({"$boxed":[]})",
                           R"({"$regexp":1})",
                           R"({"$regexp":"a","flags":"q"})",
                           R"({"$regexp":"a","flags":1})",
                           R"({"$ref":0})",
                           R"([{"$ref":1}])",
                           R"([{"$ref":-1}])",
                           R"([{"$ref":"0"}])",
                           R"({"$object":{}})",
                           R"({"$object":[1]})",
                           R"({"$object":[["a"]]})",
                           R"({"$object":[[null,1]]})",
                           R"({"$object":[[{},1]]})",
                           R"({"$array":1})",
                           R"({"$array":[],"properties":1})",
                           R"({"$array":[],"length":1})",
                           R"({"$sparse":1})",
                           R"({"$sparse":[1,2],"length":1})",
                           R"({"$sparse":[],"length":4294967296})",
                           R"({"$sparse":[],"length":1.0})",
                           R"({"$map":[[1]]})",
                           R"({"$map":{}})",
                           R"({"$set":{}})",
                           R"({"$arraybuffer":"?"})",
                           R"({"$arraybuffer":1})",
                           R"({"$arraybuffer":"AQI=","maxByteLength":1})",
                           R"({"$uint8array":1})",
                           R"({"$uint8array":{}})",
                           R"({"$uint8array":{"$date":0}})",
                           R"([{},{"$uint8array":{"$ref":1}}])",
                           R"({"$uint16array":"AQ=="})",
                           R"({"$uint8array":"AQI=","byteOffset":3})",
                           R"({"$uint8array":"AQI=","byteLength":3})",
                           R"({"$uint8array":"AQI=","byteOffset":1,"byteLength":2})",
                           R"({"$uint8array":"AQI=","lengthTracking":true})",
                           R"({"$node":"Uint8Array"})",
                           R"({"$node":"X","bytes":""})",
                           R"({"$error":"X"})",
                           R"({"$error":1})",
                           R"({"$error":"Error","message":1})",
                           R"({"$error":"Error","cause":{"$ref":0}})",
                           R"({"$host":{"$ref":0}})",
                           R"([{"$u64":"1"}])",
                           R"([{"$bytes":""}])",
                           R"([{"$v8":""}])"}) {
    EXPECT_TRUE(written(form).starts_with("refused: ")) << form;
  }
  EXPECT_EQ(written(R"({"$oid":"1"})"),
            "refused: an object has the key '$oid', which is no tag; an object with such a key is written as "
            "{\"$object\":[[key,value],...]}");
}

TEST(V8Form, DepthIsLimited) {
  std::string form, open, close;
  for (int i = 0; i < v8::kMaxDepth - 1; ++i) {
    open += R"({"$map":[[1,)";
    close += "]]}";
  }
  form = open + "2" + close;
  const std::string bytes = written(form);
  EXPECT_EQ(shown(bytes), form);
  EXPECT_EQ(written(R"({"$map":[[1,)" + form + "]]}"), "refused: a value is nested more than 200 deep");
  EXPECT_EQ(shown(";I\x02" + bytes + ":\x02"), "none");
  EXPECT_EQ(shown(std::string(1'000'000, ';')), "none");
  EXPECT_EQ(shown(std::string(1'000'000, '?')), "none");
  EXPECT_EQ(shown(std::string(1'000'000, '\0')), "none");
}

TEST(V8Form, AFewBytesMakeNoLongList) {
  // Far apart, and a long array with nothing in it.
  EXPECT_EQ(shown("a\xff\xff\xff\xff\x0f@\x00\xff\xff\xff\xff\x0f"s),
            R"({"$sparse":[],"length":4294967295})");
  EXPECT_EQ(shown("a\xe8\x07I\xc0\x0cT@\x01\xe8\x07"s),
            R"({"$sparse":[],"length":1000,"properties":[[800,true]]})");
}

TEST(ValueForm, OtherEncodings) {
  const ValueForm number = value_form(Encoding::kLe64, "\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(to_json(number.form), R"({"$u64":"18446744073709551615"})");
  EXPECT_TRUE(number.exact);
  const ValueForm bytes = value_form(Encoding::kBytes, "\xff\x0fT");
  EXPECT_EQ(to_json(bytes.form), R"({"$bytes":"/w9U"})");
  const ValueForm opaque = value_form(Encoding::kV8, "nothing");
  EXPECT_EQ(to_json(opaque.form), R"({"$v8":"bm90aGluZw=="})");
  EXPECT_TRUE(opaque.exact);
  EXPECT_EQ(value_from_form(number.form), (OwnedValue{Encoding::kLe64, std::string(8, '\xff')}));
  EXPECT_EQ(value_from_form(bytes.form), (OwnedValue{Encoding::kBytes, "\xff\x0fT"}));
  EXPECT_EQ(value_from_form(opaque.form), (OwnedValue{Encoding::kV8, "nothing"}));
  for (const char* form : {R"({"$u64":"18446744073709551616"})", R"({"$u64":"-1"})", R"({"$u64":""})",
                           R"({"$u64":1})", R"({"$bytes":"?"})", R"({"$v8":"?"})", R"({"$v8":"","x":1})"}) {
    EXPECT_FALSE(value_from_form(parsed(form))) << form;
  }
}

}  // namespace
}  // namespace tidemark::kv
