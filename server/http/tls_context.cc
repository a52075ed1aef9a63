// A reload makes a whole new SSL_CTX and puts it in the old one's place when nothing can fail any more.
// Session tickets are sealed with a context's own keys, so that a client's ticket from before a reload is
// answered with a full handshake.
#include "server/http/tls_context.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/file_system.h"
#include "engine/io/posix_file_system.h"

namespace tidemark::http {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* t) const { free(t); }
};
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_vfree>>;

// The newest reason of OpenSSL's, which forgets them all.
std::string take_reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string text = reason == nullptr ? "unknown reason" : reason;
  ERR_clear_error();
  return text;
}

std::unexpected<Error> wrong(const std::string& path, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, path + " " + what);
}

Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Notes that a passphrase would be needed, and gives none.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Whether a file was cut off in a line that begins or ends a part: OpenSSL takes that for text between parts.
bool ends_in_marker(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  const std::string_view line = text.substr(text.find_last_of("\r\n") + 1);
  return line.starts_with('-') && !(line.starts_with("-----END ") && line.ends_with("-----"));
}

Result<std::vector<Certificate>> parse_chain(const std::string& path, std::string_view text) {
  const Bio bio = reader(text);
  std::vector<Certificate> chain;
  bool encrypted = false;
  ERR_clear_error();
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, &encrypted))
    chain.emplace_back(next);
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = take_reason();
  if (!at_end) return wrong(path, "holds a certificate that cannot be read: " + reason);
  if (chain.empty()) return wrong(path, "holds no certificate in PEM form");
  if (ends_in_marker(text)) return wrong(path, "is cut off in the middle of a line");
  return chain;
}

Result<Key> parse_key(const std::string& path, std::string_view text) {
  const Bio bio = reader(text);
  bool encrypted = false;
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted));
  const std::string reason = take_reason();
  if (key) return key;
  if (encrypted) return wrong(path, "holds an encrypted key; give it without a passphrase");
  if (text.find("PRIVATE KEY-----") == text.npos) return wrong(path, "holds no private key in PEM form");
  return wrong(path, "holds a private key that cannot be read: " + reason);
}

// Wire form (RFC 7301, 3.1), the preferred one first.
constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  // The function gives the pointer without const, but to what it was given.
  unsigned char* found = nullptr;
  const int result =
      SSL_select_next_proto(&found, size, kProtocols, sizeof kProtocols - 1, offered, offered_size);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool configure(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection keeps no buffers.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // Clients keep their sessions in tickets; this side keeps none.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  // Of TLS 1.2 only what HTTP/2 allows (RFC 9113, 9.2.2).
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

}  // namespace

Result<TlsContext::Context> TlsContext::read() const {
  FileSystem& files = posix_file_system();
  TM_ASSIGN(const std::string chain_text, read_file(files, chain_path_, kMaxFileBytes));
  TM_ASSIGN(const std::vector<Certificate> chain, parse_chain(chain_path_, chain_text));
  TM_ASSIGN(std::string key_text, read_file(files, key_path_, kMaxFileBytes));
  Result<Key> key = parse_key(key_path_, key_text);
  OPENSSL_cleanse(key_text.data(), key_text.size());
  if (!key) return std::unexpected(std::move(key).error());
  if (X509_check_private_key(chain[0].get(), key->get()) != 1) {
    ERR_clear_error();
    return wrong(key_path_, "holds a key that does not match the (first) certificate in " + chain_path_);
  }
  Context context(SSL_CTX_new(TLS_server_method()));
  if (!context || !configure(context.get()))
    return fail(ErrorCode::kIo, "OpenSSL cannot be set up: " + take_reason());
  bool taken = SSL_CTX_use_certificate(context.get(), chain[0].get()) == 1;
  for (size_t i = 1; taken && i < chain.size(); ++i)
    taken = SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) == 1;
  // Too short a key, mostly.
  if (!taken) return wrong(chain_path_, "holds a certificate that OpenSSL refuses: " + take_reason());
  if (SSL_CTX_use_PrivateKey(context.get(), key->get()) != 1)
    return wrong(key_path_, "holds a key that OpenSSL refuses: " + take_reason());
  return context;
}

Result<std::unique_ptr<TlsContext>> TlsContext::load(std::string chain_path, std::string key_path) {
  std::unique_ptr<TlsContext> context(new TlsContext(std::move(chain_path), std::move(key_path)));
  TM_TRY(context->reload());
  return context;
}

Status TlsContext::reload() {
  TM_ASSIGN(Context fresh, read());
  const MutexLock lock(mutex_);
  current_.swap(fresh);
  return {};
}

SslPointer TlsContext::new_connection() const {
  const MutexLock lock(mutex_);
  return SslPointer(SSL_new(current_.get()));
}

}  // namespace tidemark::http
