// The tokens that metadata exchange hands out for the data path. They need no record on the server: each says
// which database it opens, with which rights and until when, and which access token it was given for, under a
// signature by the store's own key, so they survive a restart. The form is opaque to clients and may change;
// see docs/formats/keyspace.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/io/clock.h"
#include "server/host/access_token.h"
#include "server/host/grant.h"
#include "server/host/uuid.h"
#include "server/kv/moment.h"

namespace tidemark::host {

struct DataClaims {
  Uuid database;
  Rights rights = Rights::kReadWrite;
  TokenId access_token;              // whoever uses this token must look whether that one still counts
  int64_t expires_at_ms = 0;         // milliseconds since 1970; from then on the token is refused
  std::optional<kv::Moment> moment;  // a view of that; nothing: of head
};

using SigningKey = std::array<uint8_t, 32>;

// Any thread.
class DataTokens {
 public:
  static constexpr int64_t kLifetimeMs = int64_t{24} * 3600 * 1000;
  // Of a view of the past, which clients renew about once a minute: for so long it is kept readable.
  static constexpr int64_t kViewLifetimeMs = int64_t{10} * 60 * 1000;

  // `clock` must outlive it.
  DataTokens(const SigningKey& key, Clock& clock);
  ~DataTokens();

  struct Issued {
    std::string token;
    int64_t expires_at_ms;
  };
  // A token for `database`, good for kLifetimeMs from now.
  Issued issue(const Uuid& database, Rights rights, TokenId access_token) const;
  // One that reads what the database held at that moment, good for kViewLifetimeMs.
  Issued issue_view(const Uuid& database, const kv::Moment& moment, TokenId access_token) const;
  std::string sign(const DataClaims& claims) const;

  // An id for an access token that has no record: always the same for the same token and key, and of no help
  // to who wants to guess the token.
  TokenId id_of_unrecorded(const TokenHash& hash) const;

  // What the token grants, or nothing if it was not signed with this key, was altered or has expired.
  std::optional<DataClaims> verify(std::string_view token) const;

 private:
  struct Cache;

  std::optional<DataClaims> verify_signature(std::string_view token) const;

  SigningKey key_;
  Clock& clock_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace tidemark::host
