// The client's side of TLS, as a machine of bytes, for RawClient.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::http::test {

struct TlsOffer {
  std::vector<std::string> protocols = {};  // by ALPN; none: no ALPN
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
};

class TlsClient {
 public:
  explicit TlsClient(const TlsOffer& offer);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;

  // 1: done, 0: needs bytes, -1: failed.
  int handshake();
  void feed(std::string_view bytes);
  // At most `limit` bytes; empty: needs more, or has ended or failed.
  std::string open(size_t limit);
  void seal(std::string_view bytes);
  void close();

  std::string to_send;  // collects what the functions above made
  bool ended = false;   // the server has said that it sends no more
  bool failed = false;
  std::string protocol() const;  // what ALPN chose
  std::string version() const;
  std::string certificate_name() const;
  size_t chain_length() const;
  SSL* ssl() { return ssl_; }

 private:
  int check(int result);
  void collect();

  SSL_CTX* context_;
  SSL* ssl_;
};

}  // namespace tidemark::http::test
