#include "tests/server/http/tls_client.h"

#include <openssl/err.h>
#include <openssl/x509.h>

namespace tidemark::http::test {

TlsClient::TlsClient(const TlsOffer& offer) : context_(SSL_CTX_new(TLS_client_method())) {
  SSL_CTX_set_min_proto_version(context_, offer.min_version);
  SSL_CTX_set_max_proto_version(context_, offer.max_version);
  // Debian's defaults would not even offer the old versions that the server is to refuse.
  if (offer.max_version < TLS1_2_VERSION) SSL_CTX_set_cipher_list(context_, "ALL:@SECLEVEL=0");
  ssl_ = SSL_new(context_);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  std::string list;
  for (const std::string& name : offer.protocols) list += static_cast<char>(name.size()) + name;
  if (!list.empty())
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  SSL_set_connect_state(ssl_);
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

void TlsClient::collect() {
  char buffer[16 << 10];
  int size = 0;
  while ((size = BIO_read(SSL_get_wbio(ssl_), buffer, sizeof buffer)) > 0)
    to_send.append(buffer, static_cast<size_t>(size));
}

int TlsClient::check(int result) {
  collect();
  if (result > 0) return 1;
  const int error = SSL_get_error(ssl_, result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ) return 0;
  (error == SSL_ERROR_ZERO_RETURN ? ended : failed) = true;
  return -1;
}

int TlsClient::handshake() {
  return check(SSL_do_handshake(ssl_));
}

void TlsClient::feed(std::string_view bytes) {
  BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
}

std::string TlsClient::open(size_t limit) {
  std::string bytes(limit, '\0');
  const int size = SSL_read(ssl_, bytes.data(), static_cast<int>(limit));
  check(size);
  bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return bytes;
}

void TlsClient::seal(std::string_view bytes) {
  check(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())));
}

void TlsClient::close() {
  SSL_shutdown(ssl_);
  collect();
}

std::string TlsClient::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string TlsClient::version() const {
  return SSL_get_version(ssl_);
}

std::string TlsClient::certificate_name() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return "";
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

size_t TlsClient::chain_length() const {
  return static_cast<size_t>(sk_X509_num(SSL_get_peer_cert_chain(ssl_)));
}

}  // namespace tidemark::http::test
