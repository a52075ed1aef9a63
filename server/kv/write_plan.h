// An atomic write that was found valid, ready to run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/mutant.h"
#include "engine/base/status.h"
#include "engine/transaction.h"
#include "server/kv/request.h"
#include "server/kv/request_limits.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {

class WritePlan {
 public:
  // Checks `write` against the rules and limits and copies what is needed of it. `now_ms`: the server's
  // clock. Refusals are kInvalidArgument and their message is meant for the client.
  static Result<WritePlan> prepare(const AtomicWrite& write, const Limits& limits, int64_t now_ms);

  // Runs all checks, then, if none failed, all mutations in order, then the enqueues. Fills in the indexes of
  // the checks that failed. Called by the engine, one transaction at a time, so it is short: keys and values
  // were laid out before. kInvalidArgument, with a message for the client, if a stored value does not fit a
  // sum, min or max.
  Result<CommitRequest::Decision> run(Transaction& transaction, std::vector<uint32_t>& failed_checks);

  // Whether it stores nothing new.
  bool only_deletes() const;
  // The smallest expiry of any set, 0 if there is none.
  int64_t earliest_expiry_ms() const { return earliest_expiry_ms_; }
  // Calls `f` with each key that was written, as the client names it. After run().
  template <class F>
  void for_each_key(F&& f) const {
    for (const PlannedMutation& mutation : mutations_) {
      if (TM_MUTANT("watch.suffix") && mutation.type == MutationType::kSetSuffixVersionstampedKey) continue;
      f(view(mutation.key).substr(1));
    }
  }

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
    Slice value;           // stored form; of a sum, min or max: the operand's data
    Slice expiry;          // the key in the expiry index; none if empty
    uint32_t operand = 0;  // of a sum, min or max: which of operands_
  };
  struct Operand {
    Encoding encoding;
    Slice min;
    Slice max;
    bool clamp;
  };
  struct PlannedEnqueue {
    int64_t deadline_ms;
    Slice message;  // stored form
  };

  WritePlan() = default;
  void add_mutation(const Mutation& mutation);
  Slice add(std::string_view prefix, std::string_view bytes);
  Slice end_slice(size_t begin) const;
  std::string_view view(Slice slice) const { return {bytes_.data() + slice.offset, slice.size}; }
  void put_suffix(Slice key, const std::string& versionstamp_hex);
  Status apply(const PlannedMutation& mutation, Transaction& transaction);

  std::string bytes_;  // engine keys and stored values, one after the other
  std::vector<PlannedCheck> checks_;
  std::vector<PlannedMutation> mutations_;
  std::vector<Operand> operands_;
  std::vector<PlannedEnqueue> enqueues_;
  int64_t earliest_expiry_ms_ = 0;
};

}  // namespace tidemark::kv
