// JSON text without loss: doubles come back as the very bits that were written, which Boost's own reader does
// not promise, and a double is told from a whole number by its text.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::kv {

// Appends `value` on one line. Whole numbers are written as digits; doubles always with a point or an
// exponent ("1.0", "1e+21"), with the digits that it takes to read back as the same, -0 as "-0.0". Characters
// outside ASCII stay as they are. Recurses as deep as `value` is nested. REQUIRES: no infinity, no NaN.
void append_json(std::string& out, const boost::json::value& value);
std::string to_json(const boost::json::value& value);

// The value that makes up `text`. A number with neither point nor exponent is an int64 or a uint64 where it
// fits, any other a double, nearest to what is written. kInvalidArgument, with a sentence, if it is not JSON,
// not UTF-8, nested deeper than `max_depth`, or has a number beyond all doubles.
Result<boost::json::value> parse_json(std::string_view text, size_t max_depth);

}  // namespace tidemark::kv
