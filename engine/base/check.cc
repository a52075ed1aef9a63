#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tidemark {

void check_failed(const char* file, int line, const char* rule) {
  std::fprintf(stderr, "tidemark: internal check failed at %s:%d: %s\n", file, line, rule);
  std::abort();
}

}  // namespace tidemark
