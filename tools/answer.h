// Answers of commands (admin.h), as a command line takes them apart to print them.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::tools {

// kIo if it is no JSON object.
Result<boost::json::object> parse_answer(std::string_view text);

// A field of an answer. What is missing, or of another type, reads as null, empty, zero or false. The
// references live as long as `object`.
const boost::json::value& field(const boost::json::object& object, std::string_view name);
const boost::json::object& object_in(const boost::json::object& object, std::string_view name);
const boost::json::array& array_in(const boost::json::object& object, std::string_view name);
uint64_t number_in(const boost::json::object& object, std::string_view name);
std::string text_in(const boost::json::object& object, std::string_view name);
bool flag_in(const boost::json::object& object, std::string_view name);

// "1.5 GiB", "12 B"
std::string human_bytes(uint64_t bytes);
// "1 entry", "2 entries"
std::string count_of(uint64_t count, std::string_view one, std::string_view many);

}  // namespace tidemark::tools
