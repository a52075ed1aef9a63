// What two states of a database differ in, at a cost that follows what happened in between.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "engine/base/status.h"
#include "engine/database.h"
#include "server/kv/moment.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {

struct VersionedValue {
  StoredValue value;
  Versionstamp versionstamp;
};

// A key, as the client names it, that is not the same on both sides; nothing where it is absent. Views are
// valid during the call only.
struct Difference {
  std::string_view key;
  std::optional<VersionedValue> before;
  std::optional<VersionedValue> after;
};

// Calls `give` for each key that has the parts of `prefix` in front (the bytes of whole ones) and whose
// presence, value or expiry differs between the states, in the order of keys, until that fails. A key that
// was only written again with the same value is none. `before` may be the later one. Errors: kBeyondHorizon,
// kCorruption, kIo, those of `give`.
Status for_each_difference(Database& database, const Moment& before, const Moment& after,
                           std::string_view prefix, const std::function<Status(const Difference&)>& give);

}  // namespace tidemark::kv
