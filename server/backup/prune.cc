#include "server/backup/prune.h"

#include <algorithm>
#include <functional>

namespace tidemark::backup {
namespace {

constexpr int kKeysPerList = 1000;
constexpr int kTries = 20;

// Changes the index as `change` says, which tells whether there is anything to change, and is asked again
// when somebody else was faster.
Result<Index> change_index(ObjectStore& store, const std::string& prefix,
                           const std::function<bool(Index&)>& change) {
  const std::string key = prefix + std::string(kIndexName);
  for (int i = 0; i < kTries; ++i) {
    TM_ASSIGN(const Object object, store.get(key, kMaxIndexBytes));
    Result<Index> index = decode_index(object.bytes);
    if (!index) return fail_within(store.describe() + "/" + key, index.error());
    if (!change(*index)) return index;
    const auto put = store.put(key, encode(*index), PutCondition::unchanged(object.tag));
    if (put) return index;
    if (put.error().code != ErrorCode::kConflict) return std::unexpected(put.error());
  }
  return fail(ErrorCode::kUnavailable, store.describe() + "/" + key + " changes all the time: try again");
}

}  // namespace

bool mark_older(Index& index, int64_t oldest_ms) {
  const auto serves = [&](const Generation& one) {
    return one.complete && !one.pruned && one.began_ms <= oldest_ms;
  };
  const auto last = std::find_if(index.generations.rbegin(), index.generations.rend(), serves);
  if (last == index.generations.rend()) return false;
  bool marked = false;
  for (auto one = index.generations.begin(); one != last.base() - 1; ++one) {
    marked = marked || !one->pruned;
    one->pruned = true;
  }
  return marked;
}

Result<bool> remove_some(ObjectStore& store, const std::string& generation_prefix) {
  TM_ASSIGN(const ObjectPage page, store.list(generation_prefix, {}, kKeysPerList));
  for (const ObjectInfo& object : page.objects) TM_TRY(store.remove(object.key));
  return !page.more;
}

Result<Pruned> prune(ObjectStore& store, const std::string& prefix, int64_t oldest_ms) {
  TM_ASSIGN(const Index marked,
            change_index(store, prefix, [&](Index& index) { return mark_older(index, oldest_ms); }));
  Pruned out;
  for (const Generation& one : marked.generations) {
    if (!one.pruned) continue;
    for (bool gone = false; !gone;) {
      TM_ASSIGN(const ObjectPage page, store.list(prefix + one.id + "/", {}, kKeysPerList));
      for (const ObjectInfo& object : page.objects) TM_TRY(store.remove(object.key));
      out.objects += page.objects.size();
      gone = !page.more;
    }
    TM_TRY(change_index(store, prefix, [&](Index& index) {
      return std::erase_if(index.generations, [&](const Generation& g) { return g.id == one.id; }) > 0;
    }));
    ++out.generations;
  }
  return out;
}

}  // namespace tidemark::backup
