#include "server/backup/prune.h"

#include <algorithm>

#include "server/backup/index_change.h"

namespace tidemark::backup {
namespace {

constexpr int kKeysPerList = 1000;

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

Result<RemovedSome> remove_some(ObjectStore& store, const std::string& generation_prefix) {
  TM_ASSIGN(const ObjectPage page, store.list(generation_prefix, {}, kKeysPerList));
  for (const ObjectInfo& object : page.objects) TM_TRY(store.remove(object.key));
  return RemovedSome{page.objects.size(), !page.more};
}

Result<Pruned> prune(ObjectStore& store, const std::string& prefix, int64_t oldest_ms) {
  TM_ASSIGN(const TaggedIndex marked,
            change_index(store, prefix, [&](Index& index) { return mark_older(index, oldest_ms); }));
  Pruned out;
  for (const Generation& one : marked.index.generations) {
    if (!one.pruned) continue;
    for (bool gone = false; !gone;) {
      TM_ASSIGN(const RemovedSome removed, remove_some(store, prefix + one.id + "/"));
      out.objects += removed.objects;
      gone = removed.all;
    }
    TM_TRY(change_index(store, prefix, [&](Index& index) {
      return std::erase_if(index.generations, [&](const Generation& g) { return g.id == one.id; }) > 0;
    }));
    ++out.generations;
  }
  return out;
}

}  // namespace tidemark::backup
