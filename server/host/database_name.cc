#include "server/host/database_name.h"

#include <algorithm>
#include <string>

namespace tidemark::host {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

Status check_database_name(std::string_view name) {
  const auto refuse = [](const std::string& why) {
    return fail(ErrorCode::kInvalidArgument, "that is no name for a database: " + why);
  };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > kMaxDatabaseNameChars) {
    return refuse("it has " + std::to_string(name.size()) + " characters, and " +
                  std::to_string(kMaxDatabaseNameChars) + " are the most");
  }
  if (name.find('/') != name.npos) return refuse("it holds a slash");
  if (!std::ranges::all_of(
          name, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; })) {
    return refuse("it holds other characters than a to z, 0 to 9, '.', '_' and '-'");
  }
  if (!is_letter_or_digit(name.front())) return refuse("it starts with neither a letter nor a digit");
  return {};
}

}  // namespace tidemark::host
