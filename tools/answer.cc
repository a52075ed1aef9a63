#include "tools/answer.h"

#include <boost/json.hpp>
#include <cstdio>

namespace tidemark::tools {

namespace json = boost::json;

Result<json::object> parse_answer(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return fail(ErrorCode::kIo, "the server's answer makes no sense");
  return std::move(value.as_object());
}

const json::value& field(const json::object& object, std::string_view name) {
  static const json::value none;
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value == nullptr ? none : *value;
}

const json::object& object_in(const json::object& object, std::string_view name) {
  static const json::object none;
  const json::object* found = field(object, name).if_object();
  return found == nullptr ? none : *found;
}

const json::array& array_in(const json::object& object, std::string_view name) {
  static const json::array none;
  const json::array* found = field(object, name).if_array();
  return found == nullptr ? none : *found;
}

uint64_t number_in(const json::object& object, std::string_view name) {
  json::error_code error;
  const auto number = field(object, name).to_number<uint64_t>(error);
  return error ? 0 : number;
}

std::string text_in(const json::object& object, std::string_view name) {
  const json::string* text = field(object, name).if_string();
  return text == nullptr ? "" : std::string(*text);
}

bool flag_in(const json::object& object, std::string_view name) {
  const bool* flag = field(object, name).if_bool();
  return flag != nullptr && *flag;
}

std::string human_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {" KiB", " MiB", " GiB", " TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto size = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : kUnits) {
    if (size < 1024) break;
    size /= 1024;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%s", size, unit);
  return text;
}

std::string count_of(uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

}  // namespace tidemark::tools
