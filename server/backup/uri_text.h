// Texts as parts of URLs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemark::backup {

// All but letters, digits and "-._~" as %XX; slashes stay if asked for.
std::string uri_encode(std::string_view text, bool keep_slashes);
// Nothing if a % is not followed by two digits. `form`: a plus stands for a space.
std::optional<std::string> uri_decode(std::string_view text, bool form = false);
// ASCII only.
std::string lower_case(std::string_view text);

}  // namespace tidemark::backup
