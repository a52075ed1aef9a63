// Removing a folder with the files in it.
#pragma once

#include <string>

#include "engine/base/status.h"
#include "engine/io/file_system.h"

namespace tidemark {

// Also if part of it, or all, is gone already; folders in it are an error. Durable after a sync of the
// parent.
Status remove_folder(FileSystem& fs, const std::string& dir);

}  // namespace tidemark
