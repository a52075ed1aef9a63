// token = base64url without padding of: version (1), database id (16), rights (1), access token's id (8),
// expires_at_ms (8), HMAC-SHA256 over all before it (32); integers little-endian. Version 2 is a view of the
// past and has the moment before the HMAC: versionstamp (10), now_ms (8).
//
// Every data-path request brings its token, mostly the same few. So tokens that were found good are kept in a
// small table of fixed size (by hash, newest wins); a hit costs one comparison instead of a MAC, which
// OpenSSL 3 makes expensive by looking up the algorithm each time. The expiry is looked at on every use.
#include "server/host/data_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "engine/base/base64.h"
#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/io/sync.h"

namespace tidemark::host {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kViewVersion = 2;
constexpr size_t kClaimsBytes = 1 + 16 + 1 + 8 + 8;
constexpr size_t kViewClaimsBytes = kClaimsBytes + Versionstamp::kBytes + 8;
constexpr size_t kMacBytes = 32;
constexpr size_t kMaxTokenChars = base64url_chars(kViewClaimsBytes + kMacBytes);

std::array<uint8_t, kMacBytes> mac_of(const SigningKey& key, std::string_view bytes) {
  std::array<uint8_t, kMacBytes> out;
  unsigned size = 0;
  const unsigned char* made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data(), &size);
  TM_CHECK(made != nullptr && size == kMacBytes);
  return out;
}

}  // namespace

struct DataTokens::Cache {
  static constexpr size_t kSlots = 256;

  struct Slot {
    Mutex mutex;
    bool used TM_GUARDED_BY(mutex) = false;
    std::array<char, kMaxTokenChars> token TM_GUARDED_BY(mutex);
    size_t token_chars TM_GUARDED_BY(mutex) = 0;
    DataClaims claims TM_GUARDED_BY(mutex);
  };

  Slot& slot_of(std::string_view token) { return slots[xxh3(token) % kSlots]; }

  std::array<Slot, kSlots> slots;
};

DataTokens::DataTokens(const SigningKey& key, Clock& clock)
    : key_(key), clock_(clock), cache_(std::make_unique<Cache>()) {}

DataTokens::~DataTokens() {
  OPENSSL_cleanse(key_.data(), key_.size());
}

DataTokens::Issued DataTokens::issue(const Uuid& database, Rights rights, TokenId access_token) const {
  const int64_t expires_at_ms = clock_.wall_us() / 1000 + kLifetimeMs;
  return {sign({database, rights, access_token, expires_at_ms, {}}), expires_at_ms};
}

DataTokens::Issued DataTokens::issue_view(const Uuid& database, const kv::Moment& moment,
                                          TokenId access_token) const {
  const int64_t expires_at_ms = clock_.wall_us() / 1000 + kViewLifetimeMs;
  return {sign({database, Rights::kReadOnly, access_token, expires_at_ms, moment}), expires_at_ms};
}

std::string DataTokens::sign(const DataClaims& claims) const {
  std::string bytes;
  bytes.reserve(kViewClaimsBytes + kMacBytes);
  bytes.push_back(static_cast<char>(claims.moment ? kViewVersion : kVersion));
  bytes.append(claims.database.raw());
  bytes.push_back(static_cast<char>(claims.rights));
  put_le64(bytes, claims.access_token.number);
  put_le64(bytes, static_cast<uint64_t>(claims.expires_at_ms));
  if (claims.moment) {
    const auto stamp = claims.moment->stamp.bytes();
    bytes.append(stamp.data(), stamp.size());
    put_le64(bytes, static_cast<uint64_t>(claims.moment->now_ms));
  }
  const auto mac = mac_of(key_, bytes);
  bytes.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  return base64url(bytes);
}

TokenId DataTokens::id_of_unrecorded(const TokenHash& hash) const {
  // No claims start like this.
  const std::string bytes = "access token" + std::string(hash.begin(), hash.end());
  return {load_le64(reinterpret_cast<const char*>(mac_of(key_, bytes).data()))};
}

std::optional<DataClaims> DataTokens::verify(std::string_view token) const {
  if (token.size() > kMaxTokenChars) return std::nullopt;
  const int64_t now_ms = clock_.wall_us() / 1000;
  Cache::Slot& slot = cache_->slot_of(token);
  {
    MutexLock lock(slot.mutex);
    if (slot.used && slot.token_chars == token.size() &&
        CRYPTO_memcmp(slot.token.data(), token.data(), token.size()) == 0) {
      if (slot.claims.expires_at_ms <= now_ms) return std::nullopt;
      return slot.claims;
    }
  }
  const std::optional<DataClaims> claims = verify_signature(token);
  if (!claims || claims->expires_at_ms <= now_ms) return std::nullopt;
  MutexLock lock(slot.mutex);
  slot.used = true;
  token.copy(slot.token.data(), token.size());
  slot.token_chars = token.size();
  slot.claims = *claims;
  return claims;
}

std::optional<DataClaims> DataTokens::verify_signature(std::string_view token) const {
  const std::optional<std::string> bytes = from_base64url(token);
  if (!bytes || bytes->empty()) return std::nullopt;
  const bool is_view = bytes->front() == static_cast<char>(kViewVersion);
  const size_t claims_bytes = is_view ? kViewClaimsBytes : kClaimsBytes;
  if (bytes->size() != claims_bytes + kMacBytes) return std::nullopt;
  const std::string_view signed_part = std::string_view(*bytes).substr(0, claims_bytes);
  const auto mac = mac_of(key_, signed_part);
  if (CRYPTO_memcmp(mac.data(), bytes->data() + claims_bytes, kMacBytes) != 0) return std::nullopt;

  ByteReader reader(signed_part);
  if (const uint8_t version = reader.u8(); version != kVersion && version != kViewVersion)
    return std::nullopt;
  DataClaims claims;
  claims.database = *Uuid::from_raw(reader.raw(16));
  const uint8_t rights = reader.u8();
  if (rights != static_cast<uint8_t>(Rights::kReadWrite) &&
      rights != static_cast<uint8_t>(Rights::kReadOnly)) {
    return std::nullopt;
  }
  claims.rights = static_cast<Rights>(rights);
  claims.access_token.number = reader.le64();
  claims.expires_at_ms = static_cast<int64_t>(reader.le64());
  if (!is_view) return claims;
  claims.moment.emplace();
  claims.moment->stamp = Versionstamp::from_bytes(reader.raw(Versionstamp::kBytes).data());
  claims.moment->now_ms = static_cast<int64_t>(reader.le64());
  return claims;
}

}  // namespace tidemark::host
