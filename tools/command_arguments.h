// The arguments of a command of administration: a JSON object.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace tidemark::tools {

// Taken one by one; finish() refuses what is left over. After the first error it gives nothing more.
class CommandArguments {
 public:
  // kInvalidArgument if `text` is not a JSON object.
  static Result<CommandArguments> parse(std::string_view text);

  // Nothing if it is missing, or of another type: then finish() says so.
  std::optional<std::string> string(std::string_view name);
  std::string required_string(std::string_view name);
  bool flag(std::string_view name);
  // A whole number, not negative.
  std::optional<uint64_t> number(std::string_view name);
  std::vector<std::string> strings(std::string_view name);

  // kInvalidArgument if something was wrong, missing or never asked for.
  Status finish();

 private:
  explicit CommandArguments(boost::json::object object) : object_(std::move(object)) {}

  std::optional<boost::json::value> take(std::string_view name);
  void wrong(std::string_view name, const char* what);

  boost::json::object object_;
  Status status_;
};

}  // namespace tidemark::tools
