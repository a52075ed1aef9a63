// Values of all three encodings as JSON for people, exact for machines.
//
//   V8      v8_form.h; if it is no value that can be shown: {"$v8":"base64"}
//   LE64    {"$u64":"123"}
//   bytes   {"$bytes":"base64"}
//
// None of these three tags means anything within a value.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "server/kv/stored_value.h"
#include "server/kv/v8_number.h"

namespace tidemark::kv {

struct ValueForm {
  boost::json::value form;
  uint32_t v8_version = kWrittenV8Version;  // of a V8 value that is shown; needed to make it again
  // value_from_form() gives the very encoding and data. If not, they are V8 and must be kept beside the form.
  bool exact = true;
};

// Total: any bytes will do, of any encoding; time and memory are some multiple of them.
ValueForm value_form(Encoding encoding, std::string_view data);

struct OwnedValue {
  Encoding encoding = Encoding::kV8;
  std::string data;
  bool operator==(const OwnedValue&) const = default;
};

// kInvalidArgument, with a sentence, if it is no form. Limits on sizes are the caller's.
Result<OwnedValue> value_from_form(const boost::json::value& form, uint32_t v8_version = kWrittenV8Version);

}  // namespace tidemark::kv
