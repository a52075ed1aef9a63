#include "tools/command_arguments.h"

#include <algorithm>
#include <boost/json.hpp>

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 8;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

}  // namespace

Result<CommandArguments> CommandArguments::parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return refuse("the arguments are not JSON: " + error.message());
  json::object* object = value.if_object();
  if (object == nullptr) return refuse("the arguments are not a JSON object");
  return CommandArguments(std::move(*object));
}

std::optional<std::string> CommandArguments::string(std::string_view name) {
  const std::optional<json::value> value = take(name);
  if (!value) return std::nullopt;
  if (const json::string* text = value->if_string()) return std::string(*text);
  wrong(name, "a string");
  return std::nullopt;
}

std::string CommandArguments::required_string(std::string_view name) {
  const std::optional<std::string> text = string(name);
  if (!text && status_) status_ = refuse("the argument '" + std::string(name) + "' is missing");
  return text.value_or("");
}

bool CommandArguments::flag(std::string_view name) {
  const std::optional<json::value> value = take(name);
  if (!value) return false;
  if (const bool* flag = value->if_bool()) return *flag;
  wrong(name, "true or false");
  return false;
}

std::optional<uint64_t> CommandArguments::number(std::string_view name) {
  const std::optional<json::value> value = take(name);
  if (!value) return std::nullopt;
  json::error_code error;
  const uint64_t number = value->is_number() ? value->to_number<uint64_t>(error) : 0;
  if (value->is_number() && !error) return number;
  wrong(name, "a whole number");
  return std::nullopt;
}

std::vector<std::string> CommandArguments::strings(std::string_view name) {
  std::vector<std::string> out;
  const std::optional<json::value> value = take(name);
  if (!value) return out;
  const json::array* array = value->if_array();
  const auto is_string = [](const json::value& one) { return one.is_string(); };
  if (array == nullptr || !std::ranges::all_of(*array, is_string)) {
    wrong(name, "an array of strings");
    return out;
  }
  for (const json::value& one : *array) out.emplace_back(*one.if_string());
  return out;
}

Status CommandArguments::finish() {
  if (status_ && !object_.empty()) {
    return refuse("there is no argument '" + std::string(object_.begin()->key()) + "'");
  }
  return std::move(status_);
}

std::optional<json::value> CommandArguments::take(std::string_view name) {
  const auto place = object_.find(json::string_view(name.data(), name.size()));
  if (place == object_.end()) return std::nullopt;
  json::value value = std::move(place->value());
  object_.erase(place);
  return value;
}

void CommandArguments::wrong(std::string_view name, const char* what) {
  if (status_) status_ = refuse("the argument '" + std::string(name) + "' is not " + what);
}

}  // namespace tidemark::tools
