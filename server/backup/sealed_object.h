// The end of our objects: a checksum over all that stands before it, in a field that others skip.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::backup {

// Appends the field. Nothing is appended behind it.
void seal_object(std::string& bytes);
// kCorruption if it is not there, because the object was cut off, or if it does not match.
Status check_seal(std::string_view bytes);

}  // namespace tidemark::backup
