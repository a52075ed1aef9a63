#include "tests/support/memory_object_store.h"

#include <algorithm>

#include "engine/base/hash.h"

namespace tidemark {
namespace {

std::unexpected<Error> unreachable(const std::string& operation, std::string_view key) {
  return fail(ErrorCode::kUnavailable, operation + " " + std::string(key) + ": the store cannot be reached");
}

}  // namespace

MemoryObjectStore::Fate MemoryObjectStore::decide(const std::string& operation, std::string_view key) {
  {
    SpinLockGuard lock(lock_);
    ++operations_;
  }
  return fate ? fate(operation, std::string(key)) : Fate::kDone;
}

std::string MemoryObjectStore::tag_of(const std::string& bytes) {
  return std::to_string(xxh3(bytes)) + "-" + std::to_string(bytes.size());
}

Result<std::string> MemoryObjectStore::put(std::string_view key, std::string_view bytes,
                                           const backup::PutCondition& condition) {
  using Kind = backup::PutCondition::Kind;
  const Fate fate_of_this = decide("put", key);
  if (fate_of_this == Fate::kRefused) return unreachable("put", key);
  SpinLockGuard lock(lock_);
  const auto found = objects_.find(std::string(key));
  const bool there = found != objects_.end();
  const bool holds =
      condition.kind == Kind::kNone || !knows_conditions ||
      (condition.kind == Kind::kAbsent ? !there : there && tag_of(found->second) == condition.tag);
  const bool half = fate_of_this == Fate::kHalf;
  if (holds)
    objects_[std::string(key)] = std::string(bytes.substr(0, half ? bytes.size() / 2 : bytes.size()));
  if (fate_of_this == Fate::kUnheard || half) return unreachable("put", key);
  if (!holds) return fail(ErrorCode::kConflict, "put " + std::string(key) + ": the condition does not hold");
  return tag_of(std::string(bytes));
}

Result<std::optional<backup::Object>> MemoryObjectStore::get_if_changed(std::string_view key,
                                                                        std::string_view known_tag,
                                                                        uint64_t max_bytes) {
  if (decide("get", key) != Fate::kDone) return unreachable("get", key);
  SpinLockGuard lock(lock_);
  const auto found = objects_.find(std::string(key));
  if (found == objects_.end()) return fail(ErrorCode::kNotFound, "there is no object " + std::string(key));
  if (found->second.size() > max_bytes)
    return fail(ErrorCode::kInvalidArgument, std::string(key) + " is too large");
  const std::string tag = tag_of(found->second);
  if (tag == known_tag) return std::nullopt;
  return backup::Object{found->second, tag};
}

Result<backup::ObjectPage> MemoryObjectStore::list(std::string_view prefix, std::string_view start_after,
                                                   int max_keys) {
  if (decide("list", prefix) != Fate::kDone) return unreachable("list", prefix);
  SpinLockGuard lock(lock_);
  backup::ObjectPage page;
  for (auto it = objects_.upper_bound(std::max(std::string(prefix), std::string(start_after)));; ++it) {
    // An object with the prefix itself as its key is one of them.
    if (page.objects.empty() && start_after.empty()) it = objects_.lower_bound(std::string(prefix));
    if (it == objects_.end() || !it->first.starts_with(prefix)) return page;
    if (page.objects.size() == static_cast<size_t>(max_keys)) {
      page.more = true;
      return page;
    }
    page.objects.push_back({it->first, it->second.size(), 0});
  }
}

Result<std::vector<std::string>> MemoryObjectStore::list_folders(std::string_view prefix) {
  if (decide("list", prefix) != Fate::kDone) return unreachable("list", prefix);
  SpinLockGuard lock(lock_);
  std::vector<std::string> folders;
  for (const auto& [key, bytes] : objects_) {
    if (!key.starts_with(prefix)) continue;
    const size_t slash = key.find('/', prefix.size());
    if (slash == std::string::npos) continue;
    const std::string folder = key.substr(prefix.size(), slash - prefix.size());
    if (folders.empty() || folders.back() != folder) folders.push_back(folder);
  }
  return folders;
}

Status MemoryObjectStore::remove(std::string_view key) {
  const Fate fate_of_this = decide("remove", key);
  if (fate_of_this == Fate::kRefused) return unreachable("remove", key);
  SpinLockGuard lock(lock_);
  objects_.erase(std::string(key));
  if (fate_of_this != Fate::kDone) return unreachable("remove", key);
  return {};
}

}  // namespace tidemark
