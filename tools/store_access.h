// The store in a data folder, whoever holds it: opened here if nobody does, else asked for through its
// server.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "server/host/host.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

// The data folder: `given` on the command line, else the environment's, else the default.
std::string data_dir_of(const std::string& given);

// One thread.
class StoreAccess {
 public:
  // Makes the store, if there is none and it is to be opened here, only if `create_if_missing`.
  StoreAccess(std::string data_dir, bool create_if_missing);
  // As close(), and drops errors.
  ~StoreAccess();

  // Does a command (admin.h). A store that it opened for one stays open, and locked, until close().
  Result<std::string> run(std::string_view command, std::string_view arguments, LineSink& lines);
  Status close();

 private:
  const std::string data_dir_;
  const bool create_if_missing_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
};

// Of all databases that are not deleted.
Result<std::vector<std::string>> database_names(StoreAccess& store);

}  // namespace tidemark::tools
