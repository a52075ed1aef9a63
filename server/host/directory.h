// What may be opened at one moment, and by which tokens: the host's answer book for every request.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server/host/access_token.h"
#include "server/host/database_slot.h"
#include "server/host/grant.h"
#include "server/host/uuid.h"

namespace tidemark::host {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

struct Directory {
  // Those that are neither being made nor deleted.
  std::unordered_map<std::string, Uuid, NameHash, std::equal_to<>> ids;
  std::unordered_map<Uuid, std::shared_ptr<DatabaseSlot>, UuidHash> databases;
  // Those that were deleted, as long as they can be brought back or are being removed.
  std::vector<std::shared_ptr<DatabaseSlot>> deleted;
  // Of what has been removed for good.
  HostedCounters removed;
  // By the hash of the token.
  std::unordered_map<TokenHash, std::shared_ptr<const Grant>, TokenHashHash> grants;
  // The ids of all access tokens that count.
  std::unordered_set<uint64_t> token_ids;
};

}  // namespace tidemark::host
