#include "server/kv/entry_check.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "server/kv/keyspace.h"
#include "server/kv/queue_message.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {
namespace {

static_assert(kExpiryPrefix < kUserPrefix, "the index comes before the values");

std::unexpected<Error> corrupt(std::string what) {
  return fail(ErrorCode::kCorruption, std::move(what));
}

bool sortable_time(std::string_view key) {
  return static_cast<int64_t>(load_be64(key.data() + 1)) >= 0;
}

}  // namespace

Status check_entry(std::string_view key, std::string_view value) {
  switch (key.empty() ? '\0' : key.front()) {
    case kBookkeepingPrefix:
      return {};
    case kExpiryPrefix:
      if (key.size() < kExpiryKeyHeaderBytes || key.size() > kExpiryKeyHeaderBytes + kMaxClientKeyBytes ||
          !sortable_time(key))
        return corrupt("an entry of the expiry index has a malformed key");
      if (!value.empty()) return corrupt("an entry of the expiry index has a value");
      return {};
    case kQueuePrefix:
      if (key.size() != kQueueKeyBytes || !sortable_time(key))
        return corrupt("a queue message has a malformed key");
      TM_TRY(parse_queue_message(value));
      return {};
    case kUserPrefix:
      if (key.size() > 1 + kMaxClientKeyBytes) return corrupt("a client's key is too long");
      TM_TRY(parse_stored_value(value));
      return {};
    default:
      return corrupt("a key begins with a byte that stands for no part of a database");
  }
}

Status ExpiryIndexCheck::add(std::string_view key, std::string_view value) {
  if (key.starts_with(kExpiryPrefix)) {
    index_.push_back(xxh3(key));
    return {};
  }
  if (!key.starts_with(kUserPrefix)) return {};
  const Result<StoredValue> stored = parse_stored_value(value);
  if (!stored || stored->expire_at_ms == 0) return {};
  if (!sorted_) {
    std::sort(index_.begin(), index_.end());
    sorted_ = true;
  }
  const std::string wanted = expiry_key_from(stored->expire_at_ms).append(key.substr(1));
  if (std::binary_search(index_.begin(), index_.end(), xxh3(wanted))) return {};
  return corrupt("a value that expires has no entry in the expiry index");
}

}  // namespace tidemark::kv
