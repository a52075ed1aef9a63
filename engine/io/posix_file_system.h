// The machine's own file system (Linux).
#pragma once

#include "engine/io/file_system.h"

namespace tidemark {

// Lives as long as the process. Any thread.
FileSystem& posix_file_system();

}  // namespace tidemark
