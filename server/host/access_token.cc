// Hashes of both sides are compared, so that neither content nor length of the secret shows in the time it
// takes.
#include "server/host/access_token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace tidemark::host {
namespace {

std::array<uint8_t, 32> sha256(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> out;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data());
  return out;
}

}  // namespace

AccessToken::AccessToken(std::string_view token) : hash_(sha256(token)) {}

bool AccessToken::matches(std::string_view presented) const {
  const auto hash = sha256(presented);
  return CRYPTO_memcmp(hash.data(), hash_.data(), hash.size()) == 0;
}

}  // namespace tidemark::host
