#include "server/backup/index_change.h"

#include <utility>

namespace tidemark::backup {
namespace {

constexpr int kTries = 20;

}  // namespace

Result<TaggedIndex> change_index(ObjectStore& store, const std::string& prefix,
                                 const std::function<bool(Index&)>& change) {
  const std::string key = prefix + std::string(kIndexName);
  for (int i = 0; i < kTries; ++i) {
    TM_ASSIGN(Object object, store.get(key, kMaxIndexBytes));
    Result<Index> index = decode_index(object.bytes);
    if (!index) return fail_within(store.describe() + "/" + key, index.error());
    if (!change(*index)) return TaggedIndex{std::move(*index), std::move(object.tag)};
    auto put = store.put(key, encode(*index), PutCondition::unchanged(object.tag));
    if (put) return TaggedIndex{std::move(*index), std::move(*put)};
    if (put.error().code != ErrorCode::kConflict) return std::unexpected(put.error());
  }
  return fail(ErrorCode::kUnavailable, store.describe() + "/" + key + " changes all the time: try again");
}

}  // namespace tidemark::backup
