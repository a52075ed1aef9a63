#include "server/backup/source.h"

namespace tidemark::backup {
namespace {

constexpr int kKeysPerList = 1000;

std::unexpected<Error> foreign(const ObjectStore& store, const std::string& key) {
  return fail(ErrorCode::kConflict, store.describe() + "/" + key + " is no object of a backup: remove it");
}

}  // namespace

Result<Source> Source::open(ObjectStore& store, std::string prefix) {
  Source source(store, std::move(prefix));
  const Status found = source.refresh();
  if (found) return source;
  if (found.error().code != ErrorCode::kNotFound) return std::unexpected(found.error());
  TM_ASSIGN(const std::vector<std::string> folders, store.list_folders(source.prefix_));
  for (const std::string& folder : folders)
    if (folder + "/" == kSnapshotFolder || folder + "/" == kLogFolder) return source;
  TM_ASSIGN(const std::optional<Versionstamp> differential, source.differential(""));
  if (differential) return source;
  const std::string where = store.describe() + "/" + source.prefix_;
  TM_ASSIGN(const std::vector<BackupListing> below, list_backups(store, source.prefix_));
  if (below.size() == 1) return open(store, below.front().prefix);
  std::string names;
  for (const BackupListing& one : below) {
    names += (names.empty() ? "" : ", ") + store.describe() + "/" + one.prefix;
    if (one.index) names += " ('" + one.index->name + "')";
  }
  if (!names.empty())
    return fail(ErrorCode::kNotFound, where + " holds backups of several databases, name one: " + names);
  return fail(ErrorCode::kNotFound, "there is no backup in " + where);
}

Status Source::refresh() {
  const std::string key = prefix_ + std::string(kIndexName);
  TM_ASSIGN(std::optional<Object> object, store_->get_if_changed(key, index_tag_, kMaxIndexBytes));
  if (!object) return {};
  Result<Index> index = decode_index(object->bytes);
  if (!index) return fail_within(store_->describe() + "/" + key, index.error());
  index_ = std::move(*index);
  index_tag_ = std::move(object->tag);
  return {};
}

Result<std::vector<ObjectInfo>> Source::snapshot(std::string_view id) const {
  const std::string folder = generation_prefix(id) + std::string(kSnapshotFolder);
  std::vector<ObjectInfo> out;
  for (bool more = true; more;) {
    TM_ASSIGN(const ObjectPage page, store_->list(folder, out.empty() ? "" : out.back().key, kKeysPerList));
    for (const ObjectInfo& object : page.objects) {
      if (!parse_snapshot_name(std::string_view(object.key).substr(folder.size())))
        return foreign(*store_, object.key);
      out.push_back(object);
    }
    more = page.more && !page.objects.empty();
  }
  return out;
}

Result<std::optional<Versionstamp>> Source::differential(std::string_view id) const {
  const std::string key = generation_prefix(id) + std::string(kDifferential);
  const Result<Object> object = store_->get(key, kMaxIndexBytes);
  if (!object && object.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!object) return std::unexpected(object.error());
  const std::optional<Versionstamp> stamp = Versionstamp::from_hex(object->bytes);
  if (!stamp)
    return fail(ErrorCode::kCorruption, store_->describe() + "/" + key + " does not hold a versionstamp");
  return stamp;
}

Result<std::vector<NamedLogObject>> Source::log(std::string_view id, std::string_view start_after) const {
  return list_log(*store_, generation_prefix(id), start_after, kKeysPerList);
}

Result<std::vector<NamedLogObject>> list_log(ObjectStore& store, const std::string& generation_prefix,
                                             std::string_view start_after, int keys) {
  const std::string folder = generation_prefix + std::string(kLogFolder);
  TM_ASSIGN(const ObjectPage page, store.list(folder, start_after, keys));
  std::vector<NamedLogObject> out;
  for (const ObjectInfo& object : page.objects) {
    const auto name = parse_log_name(std::string_view(object.key).substr(folder.size()));
    if (!name) return foreign(store, object.key);
    out.push_back({object, *name});
  }
  return out;
}

Result<std::vector<BackupListing>> list_backups(ObjectStore& store, const std::string& prefix) {
  TM_ASSIGN(const std::vector<std::string> folders, store.list_folders(prefix));
  std::vector<BackupListing> out;
  for (const std::string& folder : folders) {
    const std::string below = prefix + folder + "/";
    const Result<Object> object = store.get(below + std::string(kIndexName), kMaxIndexBytes);
    if (!object && object.error().code == ErrorCode::kNotFound) continue;
    if (!object) return std::unexpected(object.error());
    out.push_back({below, decode_index(object->bytes)});
  }
  return out;
}

}  // namespace tidemark::backup
