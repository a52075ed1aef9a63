// The certificate that a listener shows, with its key, and how the listener speaks TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/io/sync.h"

namespace tidemark::http {

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPointer = std::unique_ptr<SSL, FreeSsl>;

// TLS 1.2 and 1.3, ALPN "h2" and "http/1.1". Any thread.
class TlsContext {
 public:
  // `chain_path`: PEM, the server's own certificate first, then those between it and its root. `key_path`:
  // PEM, without a passphrase. May be one file. Errors name the file and what is wrong with it: kIo if it
  // cannot be read, kInvalidArgument otherwise.
  static Result<std::unique_ptr<TlsContext>> load(std::string chain_path, std::string key_path);
  TlsContext(const TlsContext&) = delete;

  // Reads both files again, for connections made from here on; open ones go on as they are. After an error
  // everything is as before.
  Status reload();

  // The server's side of one new connection, without a BIO. Null if there is no memory.
  SslPointer new_connection() const;

 private:
  using Context = std::unique_ptr<SSL_CTX, FreeSsl>;
  TlsContext(std::string chain_path, std::string key_path)
      : chain_path_(std::move(chain_path)), key_path_(std::move(key_path)) {}
  Result<Context> read() const;

  const std::string chain_path_;
  const std::string key_path_;
  mutable Mutex mutex_;
  Context current_ TM_GUARDED_BY(mutex_);  // each connection holds a reference of its own
};

}  // namespace tidemark::http
