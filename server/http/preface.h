// Tells HTTP/2 from HTTP/1.1 by the first bytes of a cleartext connection.
#pragma once

#include <string_view>

namespace tidemark::http {

enum class Protocol {
  kUndecided,  // more bytes are needed
  kHttp1,
  kHttp2,
  kTls,      // the start of a TLS handshake
  kGarbage,  // neither
};

// RFC 9113, 3.4.
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// `bytes`: all that has come so far. At kHttp2Preface.size() bytes it is always decided.
Protocol detect_protocol(std::string_view bytes);

}  // namespace tidemark::http
