// Certificates and keys made for a test.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "server/http/options.h"
#include "tests/support/temporary_folder.h"

namespace tidemark::http::test {

using TestKey = std::shared_ptr<EVP_PKEY>;
TestKey make_key();  // P-256
TestKey make_rsa_key(unsigned bits);

// PEM. Signed by the owner of `issuer_key`, "issuer_name"; without one by itself.
std::string certificate_pem(const TestKey& key, const std::string& name, const TestKey& issuer_key = nullptr,
                            const std::string& issuer_name = {});
// PEM; encrypted if there is a passphrase.
std::string key_pem(const TestKey& key, const std::string& passphrase = {});

void write_file(const std::string& path, const std::string& bytes);

// The two files of a server, in a folder of their own.
class CertificateFiles {
 public:
  explicit CertificateFiles(const std::string& name = "test") { renew(name); }
  // A new key and a certificate in that name.
  void renew(const std::string& name);

  // quick_options() with TLS.
  Options options() const;
  std::string operator/(const std::string& name) const { return folder_ / name; }
  std::string chain_path() const { return folder_ / "chain.pem"; }
  std::string key_path() const { return folder_ / "key.pem"; }

 private:
  TemporaryFolder folder_;
};

}  // namespace tidemark::http::test
