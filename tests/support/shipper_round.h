// What a backup service does for one shipper, on the thread that calls it.
#pragma once

#include "server/backup/shipper.h"

namespace tidemark {

// One round, if it is due, and one range of the snapshot.
inline void run_round(backup::Shipper& shipper, Database& database) {
  if (shipper.due(database)) shipper.run(database);
  if (const auto upload = shipper.snapshot(); upload != nullptr && !upload->done()) {
    const Result<bool> more = upload->run();
    if (!more) shipper.snapshot_failed(more.error());
  }
}

}  // namespace tidemark
