// Hashes of both sides are compared, so that neither content nor length of the secret shows in the time it
// takes.
#include "server/host/access_token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "engine/base/base64.h"
#include "engine/io/entropy.h"

namespace tidemark::host {
namespace {

// Tells people and scanners of secrets what it is, and keeps a token from starting with a dash.
constexpr char kPrefix[] = "tm_";
constexpr size_t kRandomBytes = 32;

}  // namespace

TokenHash hash_token(std::string_view token) {
  TokenHash out;
  static_assert(out.size() == SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), out.data());
  return out;
}

std::string random_token() {
  return kPrefix + base64url(random_bytes(kRandomBytes));
}

bool AccessToken::matches(const TokenHash& presented) const {
  return CRYPTO_memcmp(presented.data(), hash_.data(), hash_.size()) == 0;
}

}  // namespace tidemark::host
