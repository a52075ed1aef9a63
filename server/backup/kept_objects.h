// Objects kept in a folder, so that they need not be read again after an interruption.
#pragma once

#include <optional>
#include <string>

#include "engine/base/status.h"
#include "engine/io/file_system.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// Any thread, but one object on one at a time.
class KeptObjects {
 public:
  // Keeps nothing.
  KeptObjects() = default;
  // `folder` exists. `sealed`: the objects end in a checksum (sealed_object.h), by which is found what a
  // power loss left of a file: they are not synced.
  KeptObjects(FileSystem& files, std::string folder, bool sealed)
      : files_(&files), folder_(std::move(folder)), sealed_(sealed) {}

  // Nothing if it is not there.
  Result<std::optional<std::string>> find(const ObjectInfo& object) const;
  // If the disk takes it: it spares something, and nothing depends on it.
  void keep(const ObjectInfo& object, const std::string& bytes) const;

 private:
  Status write(const ObjectInfo& object, const std::string& bytes) const;
  std::string path(const ObjectInfo& object) const;

  FileSystem* files_ = nullptr;
  std::string folder_;
  bool sealed_ = false;
};

}  // namespace tidemark::backup
