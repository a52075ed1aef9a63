#include "server/backup/kept_objects.h"

#include <algorithm>

#include "server/backup/sealed_object.h"

namespace tidemark::backup {

std::string KeptObjects::path(const ObjectInfo& object) const {
  std::string name = object.key;
  std::ranges::replace(name, '/', '_');
  return folder_ + "/" + name;
}

Result<std::optional<std::string>> KeptObjects::find(const ObjectInfo& object) const {
  if (files_ == nullptr) return std::nullopt;
  TM_ASSIGN(const bool kept, files_->exists(path(object)));
  if (!kept) return std::nullopt;
  TM_ASSIGN(std::string bytes, read_file(*files_, path(object), object.size));
  if (bytes.size() != object.size || (sealed_ && !check_seal(bytes))) return std::nullopt;
  return bytes;
}

void KeptObjects::keep(const ObjectInfo& object, const std::string& bytes) const {
  if (files_ != nullptr) (void)write(object, bytes).has_value();
}

Status KeptObjects::write(const ObjectInfo& object, const std::string& bytes) const {
  if (!sealed_) return write_file_atomically(*files_, path(object), bytes);
  const std::string part = path(object) + ".part";
  {
    TM_ASSIGN(const auto file, files_->open(part, OpenMode::kCreate));
    TM_TRY(file->write_at(0, bytes));
  }
  return files_->rename(part, path(object));
}

}  // namespace tidemark::backup
