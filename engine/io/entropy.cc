#include "engine/io/entropy.h"

#include <sys/random.h>

#include "engine/base/check.h"

namespace tidemark {

std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  // Up to 256 bytes come whole and without error once the system has booted.
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::getrandom(bytes.data() + done, size - done, 0);
    TM_CHECK(n > 0);
    done += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace tidemark
