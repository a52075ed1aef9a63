// Values of encoding V8 (v8_format.h) as JSON for people, and back. docs/formats/dump.md describes the form:
// what JSON has stands as itself, everything else is an object with one key that begins with '$'.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::kv {

struct V8Form {
  boost::json::value form;
  uint32_t version = 0;  // what the bytes began with, 9 to 16
};

// Nothing if the bytes are no value that V8 would read (but for what only a host can bring back, and for
// rules of JavaScript such as the grammar of regular expressions), or are followed by others, or are nested
// more than v8::kMaxDepth deep. Total: time and memory are some multiple of the bytes.
std::optional<V8Form> v8_to_form(std::string_view bytes);

// The bytes that V8 would write, version 13 to 16. They are those that the form came from, unless these were
// written in another way than V8's usual one: whoever needs to be sure compares. JSON of any origin will do
// as a form, as long as no object has a key that begins with '$'; it becomes what JSON.parse() would give.
// kInvalidArgument, with a sentence, for what is no form.
Result<std::string> v8_from_form(const boost::json::value& form, uint32_t version);

}  // namespace tidemark::kv
