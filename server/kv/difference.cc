// A key may also differ because it expired in between, which no commit says: the expiry index of the earlier
// state names those.
#include "server/kv/difference.h"

#include <algorithm>
#include <memory>

#include "server/kv/changed_keys.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/past_reader.h"

namespace tidemark::kv {
namespace {

Result<std::optional<VersionedValue>> visible_value(const std::optional<PinnedValue>& found, int64_t now_ms) {
  if (!found) return std::nullopt;
  TM_ASSIGN(const StoredValue value, parse_stored_value(found->bytes()));
  if (value.expired_at(now_ms)) return std::nullopt;
  return VersionedValue{value, found->versionstamp()};
}

bool same(const std::optional<VersionedValue>& a, const std::optional<VersionedValue>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || (a->value.encoding == b->value.encoding && a->value.expire_at_ms == b->value.expire_at_ms &&
                a->value.data == b->value.data);
}

// The user's keys that the index says expire in (after_ms, to_ms].
Status expiring(const Database& database, const Snapshot& at, int64_t after_ms, int64_t to_ms,
                const std::function<void(std::string_view)>& give) {
  if (after_ms >= to_ms) return {};
  KeyspaceScan scan(database, at,
                    {expiry_key_from(std::max<int64_t>(after_ms + 1, 0)),
                     expiry_key_from(std::max<int64_t>(to_ms + 1, 0))});
  std::string key(1, kUserPrefix);
  while (true) {
    TM_ASSIGN(const bool more, scan.next());
    if (!more) return {};
    key.replace(1, key.npos, scan.key().substr(kExpiryKeyHeaderBytes));
    give(key);
  }
}

}  // namespace

Status for_each_difference(Database& database, const Moment& before, const Moment& after,
                           std::string_view prefix, const std::function<Status(const Difference&)>& give) {
  TM_ASSIGN(const auto old_reader, PastReader::open(database, before.stamp));
  TM_ASSIGN(const auto new_reader, PastReader::open(database, after.stamp));
  const bool forward = before.stamp <= after.stamp;
  const auto [first_ms, last_ms] = std::minmax(before.now_ms, after.now_ms);
  const Snapshot& earlier = (forward ? old_reader : new_reader)->snapshot();
  const Snapshot& later = (forward ? new_reader : old_reader)->snapshot();
  ChangedKeys keys(database, earlier.versionstamp(), later.versionstamp(), user_range(prefix),
                   [&, first = first_ms, last = last_ms](const std::function<void(std::string_view)>& more) {
                     return expiring(database, earlier, first, last, more);
                   });
  while (true) {
    TM_ASSIGN(const bool more, keys.next());
    if (!more) return {};
    TM_ASSIGN(const std::optional<PinnedValue> old_found, old_reader->get(keys.key()));
    TM_ASSIGN(const std::optional<PinnedValue> new_found, new_reader->get(keys.key()));
    Difference difference{keys.key().substr(1), {}, {}};
    TM_ASSIGN(difference.before, visible_value(old_found, before.now_ms));
    TM_ASSIGN(difference.after, visible_value(new_found, after.now_ms));
    if (!same(difference.before, difference.after)) TM_TRY(give(difference));
  }
}

}  // namespace tidemark::kv
