// The preface was chosen to be no legal HTTP/1.1 request, but its first bytes may become one ("PRINT /
// HTTP/1.1"). So as long as the bytes are a proper prefix of it nothing is decided; where they leave it, what
// they left it with decides. From the blank line on only HTTP/2 is possible.
#include "server/http/preface.h"

#include <algorithm>
#include <cstddef>

namespace tidemark::http {
namespace {

// RFC 9110, 5.6.2: what a method may consist of.
bool is_token_char(char c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

Protocol detect_protocol(std::string_view bytes) {
  if (bytes.empty()) return Protocol::kUndecided;
  const size_t size = std::min(bytes.size(), kHttp2Preface.size());
  const auto [mine, theirs] =
      std::mismatch(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size), kHttp2Preface.begin());
  const size_t common = static_cast<size_t>(mine - bytes.begin());
  if (common == size) return size == kHttp2Preface.size() ? Protocol::kHttp2 : Protocol::kUndecided;
  if (common == 0) {
    if (bytes[0] == 0x16) return Protocol::kTls;
    // An empty line before a request is allowed (RFC 9112, 2.2).
    return is_token_char(bytes[0]) || bytes[0] == '\r' ? Protocol::kHttp1 : Protocol::kGarbage;
  }
  constexpr size_t kRequestLine = 16;  // "PRI * HTTP/2.0\r\n"
  return common < kRequestLine ? Protocol::kHttp1 : Protocol::kGarbage;
}

}  // namespace tidemark::http
