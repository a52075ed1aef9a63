#include "engine/io/remove_folder.h"

#include <vector>

namespace tidemark {

Status remove_folder(FileSystem& fs, const std::string& dir) {
  TM_ASSIGN(const bool exists, fs.exists(dir));
  if (!exists) return {};
  TM_ASSIGN(const std::vector<std::string> names, fs.list_dir(dir));
  for (const std::string& name : names) TM_TRY(fs.remove(dir + "/" + name));
  return fs.remove_dir(dir);
}

}  // namespace tidemark
