// Between UTF-8 and the two forms in which V8 keeps strings: Latin-1 and UTF-16, little-endian.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemark::kv {

// Well-formed: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);

std::string latin1_to_utf8(std::string_view latin1);
// Nothing if a surrogate stands alone. REQUIRES: an even number of bytes.
std::optional<std::string> utf16_to_utf8(std::string_view utf16);

// Nothing if `text` is no UTF-8.
std::optional<std::u16string> utf8_to_utf16(std::string_view text);

}  // namespace tidemark::kv
