// A backup as it is found below a prefix: ours, with its generations, or one of Deno Deploy, which is one
// generation.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/backup/index.h"
#include "server/backup/object_names.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// Objects of a snapshot; more are not expected in one.
inline constexpr uint64_t kMaxObjectBytes = uint64_t{1} << 30;

struct NamedLogObject {
  ObjectInfo info;
  LogName name;
};

// At most so many objects of a generation's log, the first ones behind `start_after` (a whole key, or empty).
// kConflict if there is an object that is none.
Result<std::vector<NamedLogObject>> list_log(ObjectStore& store, const std::string& generation_prefix,
                                             std::string_view start_after, int keys);

// One thread at a time.
class Source {
 public:
  // Of several databases: kNotFound, with a sentence that names them; so if there is none. If there is only
  // one below, that.
  static Result<Source> open(ObjectStore& store, std::string prefix);

  // Of the whole backup; nothing if it is a single generation.
  const std::optional<Index>& index() const { return index_; }
  // Reads the index again, if it has changed.
  Status refresh();

  // The prefix of a generation; the empty id is that of the only one.
  std::string generation_prefix(std::string_view id) const {
    return id.empty() ? prefix_ : prefix_ + std::string(id) + "/";
  }
  // All objects of its snapshot, by number. kConflict if there is an object that is none.
  Result<std::vector<ObjectInfo>> snapshot(std::string_view id) const;
  // The version from which on snapshot and log are consistent; nothing while the snapshot is being written.
  Result<std::optional<Versionstamp>> differential(std::string_view id) const;
  // The next objects of its log behind `start_after` (a whole key, or empty), at most 1,000; none at the end.
  // kConflict if there is an object that is none.
  Result<std::vector<NamedLogObject>> log(std::string_view id, std::string_view start_after) const;

  const std::string& prefix() const { return prefix_; }
  ObjectStore& store() const { return *store_; }

 private:
  Source(ObjectStore& store, std::string prefix) : store_(&store), prefix_(std::move(prefix)) {}

  ObjectStore* store_;
  std::string prefix_;
  std::optional<Index> index_;
  std::string index_tag_;
};

// The databases that have a backup below a server's prefix: the folders there that hold an index.
struct BackupListing {
  std::string prefix;
  Result<Index> index;
};
Result<std::vector<BackupListing>> list_backups(ObjectStore& store, const std::string& prefix);

}  // namespace tidemark::backup
