#include "tests/server/http/certificates.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fstream>

#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

std::string take_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void set_name(X509_NAME* to, const std::string& name) {
  X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                             -1, 0);
}

}  // namespace

TestKey make_key() {
  return TestKey(EVP_EC_gen("P-256"), EVP_PKEY_free);
}

TestKey make_rsa_key(unsigned bits) {
  return TestKey(EVP_RSA_gen(bits), EVP_PKEY_free);
}

std::string certificate_pem(const TestKey& key, const std::string& name, const TestKey& issuer_key,
                            const std::string& issuer_name) {
  X509* const certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  set_name(X509_get_subject_name(certificate), name);
  set_name(X509_get_issuer_name(certificate), issuer_key ? issuer_name : name);
  X509_set_pubkey(certificate, key.get());
  EXPECT_GT(X509_sign(certificate, issuer_key ? issuer_key.get() : key.get(), EVP_sha256()), 0);
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  X509_free(certificate);
  return take_text(bio);
}

std::string key_pem(const TestKey& key, const std::string& passphrase) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(bio, key.get(), passphrase.empty() ? nullptr : EVP_aes_128_cbc(),
                                passphrase.c_str(), static_cast<int>(passphrase.size()), nullptr, nullptr);
  return take_text(bio);
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void CertificateFiles::renew(const std::string& name) {
  const TestKey key = make_key();
  write_file(chain_path(), certificate_pem(key, name));
  write_file(key_path(), key_pem(key));
}

Options CertificateFiles::options() const {
  Options options = quick_options();
  options.tls_chain_path = chain_path();
  options.tls_key_path = key_path();
  return options;
}

}  // namespace tidemark::http::test
