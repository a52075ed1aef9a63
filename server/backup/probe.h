// Whether a store lets us do what a backup needs.
#pragma once

#include <string>
#include <vector>

#include "engine/base/status.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

struct Right {
  std::string name;  // as the policies of S3 call it: "s3:PutObject"
  std::string what;  // what it is needed for
  Status outcome;
};

struct Probe {
  std::vector<Right> rights;
  // Whether it refuses a write whose condition does not hold: without that, two servers that write the same
  // backup find out only afterwards.
  bool knows_conditions = false;

  bool good() const;
  // One sentence that names what is missing; empty if nothing is.
  std::string complaint(const std::string& store) const;
};

// Tries each right with an object of its own below `prefix`, and removes that. `name`: of the object, one
// that nobody else uses.
Probe probe(ObjectStore& store, const std::string& prefix, const std::string& name);

}  // namespace tidemark::backup
