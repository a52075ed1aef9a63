// Objects as files below a folder.
#pragma once

#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/io/file_system.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// The slashes of a key make folders, which come and go with what is in them. kInvalidArgument for keys that
// have no place among files: an empty part, "." or "..", a part of more than 255 bytes, "a/b" where "a" is an
// object. What was put or removed survives power loss. Tags are hashes of the contents.
//
// Conditions hold among all stores on this folder in this process. Between processes only this holds: readers
// see whole objects. Two processes that put one key at the same moment, under whatever condition, may both
// succeed; then the later bytes stay.
//
// `folder`: absolute, must exist; kDenied from every operation if it does not, for it may be a disk that is
// not mounted. `files` must outlive it.
std::unique_ptr<ObjectStore> make_folder_object_store(std::string folder, FileSystem& files);

}  // namespace tidemark::backup
