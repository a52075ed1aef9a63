// What Deno and Node wrote (recorded/record.py), shown and made again.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "engine/base/base64.h"
#include "server/kv/json_text.h"
#include "server/kv/tuple_key.h"
#include "server/kv/v8_form.h"
#include "server/kv/v8_format.h"
#include "server/kv/value_form.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

struct Recorded {
  std::string name;
  std::string bytes;
  json::value form;
};

std::vector<Recorded> recorded(const std::string& name) {
  std::vector<Recorded> out;
  std::ifstream file(std::string(TIDEMARK_SOURCE_ROOT) + "/tests/server/kv/recorded/" + name);
  for (std::string line; std::getline(file, line);) {
    const auto parsed = parse_json(line, v8::kMaxFormDepth);
    if (!parsed) {
      ADD_FAILURE() << parsed.error().message << ": " << line;
      continue;
    }
    const json::object& object = parsed->get_object();
    out.push_back({std::string(object.at("name").get_string()),
                   from_base64(object.at("bytes").get_string()).value(), object.at("form")});
  }
  EXPECT_FALSE(out.empty()) << name;
  return out;
}

// JavaScript knows no difference between 1 and 1.0 when it says what it expects.
json::value without_points(const json::value& form) {
  if (const double* number = form.if_double()) {
    const bool whole = std::abs(*number) < 9e18 && std::trunc(*number) == *number && !std::signbit(*number);
    return whole ? json::value(static_cast<int64_t>(*number)) : form;
  }
  if (const json::array* array = form.if_array()) {
    json::array out;
    for (const json::value& item : *array) out.push_back(without_points(item));
    return out;
  }
  if (const json::object* object = form.if_object()) {
    json::object out;
    for (const auto& [key, value] : *object) out.emplace(key, without_points(value));
    return out;
  }
  return form;
}

std::string comparable(const json::value& form) {
  return to_json(without_points(form));
}

void check_values(const std::string& file) {
  for (const Recorded& one : recorded(file)) {
    SCOPED_TRACE(file + ": " + one.name);
    const ValueForm shown = value_form(Encoding::kV8, one.bytes);
    if (one.name == "inexact: nested too deep") {
      EXPECT_EQ(to_json(shown.form), "{\"$v8\":\"" + base64(one.bytes) + "\"}");
    } else {
      EXPECT_EQ(comparable(shown.form), comparable(one.form));
      EXPECT_EQ(shown.exact, !one.name.starts_with("inexact"));
    }
    // Through text, as in a dump.
    const auto read = parse_json(to_json(shown.form), v8::kMaxFormDepth);
    ASSERT_TRUE(read) << read.error().message;
    const auto again = value_from_form(*read, shown.v8_version);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->encoding, Encoding::kV8);
    EXPECT_EQ(again->data == one.bytes, shown.exact);
  }
}

TEST(Recorded, ValuesOfDeno) {
  check_values("deno_values.jsonl");
}

TEST(Recorded, ValuesOfNode) {
  check_values("node_values.jsonl");
}

TEST(Recorded, ViewsOfNode) {
  check_values("node_views.jsonl");
}

TEST(Recorded, KeysOfDeno) {
  for (const Recorded& one : recorded("deno_keys.jsonl")) {
    SCOPED_TRACE(one.name);
    const json::value form = key_form(one.bytes);
    EXPECT_EQ(comparable(form), comparable(one.form));
    for (const json::value& either : {form, one.form}) {
      const auto again = key_from_form(either);
      ASSERT_TRUE(again) << again.error().message;
      EXPECT_EQ(base64(*again), base64(one.bytes));
    }
  }
}

}  // namespace
}  // namespace tidemark::kv
