// The names that people give to databases.
#pragma once

#include <cstddef>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::host {

inline constexpr char kDefaultDatabaseName[] = "default";
inline constexpr size_t kMaxDatabaseNameChars = 64;

// kInvalidArgument with a sentence unless the name has 1 to kMaxDatabaseNameChars characters of a to z, 0 to
// 9, '.', '_' and '-', the first a letter or digit. So a name stands in a URL as it is, and is never '.' or
// '..'.
Status check_database_name(std::string_view name);

}  // namespace tidemark::host
