// Assertions that stay on in release builds. They guard rules of the program itself, never input.
#pragma once

namespace tidemark {

// Prints one line with the place and the broken rule on stderr and aborts the process.
[[noreturn]] void check_failed(const char* file, int line, const char* rule);

}  // namespace tidemark

#define TM_CHECK(rule) \
  (static_cast<bool>(rule) ? static_cast<void>(0) : ::tidemark::check_failed(__FILE__, __LINE__, #rule))
