// An atomic write that was found valid, ready to run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/transaction.h"
#include "server/kv/request.h"
#include "server/kv/request_limits.h"

namespace tidemark::kv {

class WritePlan {
 public:
  // Checks `write` against the rules and limits and copies what is needed of it. Refusals are
  // kInvalidArgument and their message is meant for the client.
  static Result<WritePlan> prepare(const AtomicWrite& write, const Limits& limits);

  // Runs all checks, then, if none failed, all mutations in order. Fills in the indexes of the checks that
  // failed. Called by the engine, one transaction at a time, so it is short: keys and values were laid out
  // before.
  Result<CommitRequest::Decision> run(Transaction& transaction, std::vector<uint32_t>& failed_checks) const;

 private:
  // A piece of bytes_.
  struct Slice {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  struct PlannedCheck {
    Slice key;
    bool must_be_absent = false;
    Versionstamp versionstamp;
  };
  struct PlannedMutation {
    MutationType type;
    Slice key;
    Slice value;  // stored form
  };

  WritePlan() = default;
  Slice add_key(std::string_view key);
  std::string_view view(Slice slice) const { return {bytes_.data() + slice.offset, slice.size}; }

  std::string bytes_;  // engine keys and stored values, one after the other
  std::vector<PlannedCheck> checks_;
  std::vector<PlannedMutation> mutations_;
};

}  // namespace tidemark::kv
