// Texts that the protocols fix.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark::http {

// The reason phrase of a status code; "Unknown" for codes without one.
std::string_view status_text(int status);

// RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes.
inline constexpr size_t kDateBytes = 29;
void format_date(int64_t unix_seconds, char* out);

}  // namespace tidemark::http
