// Two steps. prepare() runs on the network thread of the request: it checks everything that can be checked
// without reading, and lays engine keys and stored values out in one string. run() is what the engine calls,
// one transaction after the other, so all that it does is look up the checked keys and hand over slices of
// that string.
//
// The order of the refusals follows denokv: counts, then the checks, then the mutations, then the total size.
// What this version cannot do yet is refused only after it was found to be legal.
#include "server/kv/write_plan.h"

#include "engine/base/versionstamp.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {
namespace {

constexpr size_t kHeaderBytes = 1;  // of a stored value without expiry

std::unexpected<Error> refuse(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument, std::string(text));
}

Status check_key(std::string_view key, size_t max_bytes) {
  if (key.size() > max_bytes) return refuse(text::kKeyTooLarge);
  return {};
}

// The name of a mutation that is legal but cannot be done yet; null for those that can, or are not legal.
const char* unsupported_name(MutationType type) {
  switch (type) {
    case MutationType::kSum:
      return "sum";
    case MutationType::kMax:
      return "max";
    case MutationType::kMin:
      return "min";
    case MutationType::kSetSuffixVersionstampedKey:
      return "set with a versionstamp suffix";
    case MutationType::kSet:
    case MutationType::kDelete:
      break;
  }
  return nullptr;
}

bool needs_value(MutationType type) {
  return type != MutationType::kDelete;
}

bool is_mutation_type(MutationType type) {
  return type == MutationType::kSet || type == MutationType::kDelete || unsupported_name(type) != nullptr;
}

// The size that counts for the total, or why the mutation is not legal.
Result<size_t> check_mutation(const Mutation& mutation, const Limits& limits) {
  TM_TRY(check_key(mutation.key, limits.max_write_key_bytes));
  if (!is_mutation_type(mutation.type)) return refuse(text::kBadMutation);
  if (mutation.expire_at_ms < -1) return refuse(text::kBadExpiry);
  if (!needs_value(mutation.type)) return mutation.key.size();
  if (!mutation.value) return refuse(text::kBadMutation);
  const Mutation::Value& value = *mutation.value;
  if (value.encoding < static_cast<int32_t>(Encoding::kV8) ||
      value.encoding > static_cast<int32_t>(Encoding::kBytes)) {
    return refuse(text::kBadMutation);
  }
  if (value.data.size() > limits.max_value_bytes) return refuse(text::kValueTooLarge);
  if (value.encoding == static_cast<int32_t>(Encoding::kLe64) && value.data.size() != kLe64Bytes) {
    return refuse(text::kBadLe64);
  }
  return mutation.key.size() + value.data.size();
}

Status check_supported(const AtomicWrite& write) {
  for (const Mutation& mutation : write.mutations) {
    if (const char* name = unsupported_name(mutation.type)) {
      return refuse("The mutation '" + std::string(name) +
                    "' is not supported yet by this version of Tidemark.");
    }
    if (mutation.expire_at_ms > 0) {
      return refuse("Expiring keys (expire_at_ms) are not supported yet by this version of Tidemark.");
    }
  }
  if (write.enqueues > 0) return refuse("Enqueue is not supported yet by this version of Tidemark.");
  return {};
}

}  // namespace

Result<WritePlan> WritePlan::prepare(const AtomicWrite& write, const Limits& limits) {
  if (write.checks.size() > limits.max_checks) return refuse(text::kTooManyChecks);
  if (write.mutations.size() + write.enqueues > limits.max_mutations) return refuse(text::kTooManyMutations);

  size_t total = 0;  // cannot overflow: every summand lies in a request body in memory
  for (const Check& check : write.checks) {
    TM_TRY(check_key(check.key, limits.max_read_key_bytes));
    if (!check.versionstamp.empty() && check.versionstamp.size() != Versionstamp::kBytes) {
      return refuse(text::kBadVersionstamp);
    }
    total += check.key.size();
  }
  for (const Mutation& mutation : write.mutations) {
    TM_ASSIGN(const size_t size, check_mutation(mutation, limits));
    total += size;
  }
  if (total > limits.max_transaction_bytes) return refuse(text::kTransactionTooLarge);
  TM_TRY(check_supported(write));

  WritePlan plan;
  plan.bytes_.reserve(total + write.checks.size() + write.mutations.size() * (1 + kHeaderBytes));
  plan.checks_.reserve(write.checks.size());
  plan.mutations_.reserve(write.mutations.size());
  for (const Check& check : write.checks) {
    PlannedCheck& planned = plan.checks_.emplace_back();
    planned.key = plan.add_key(check.key);
    planned.must_be_absent = check.versionstamp.empty();
    if (!planned.must_be_absent) planned.versionstamp = Versionstamp::from_bytes(check.versionstamp.data());
  }
  for (const Mutation& mutation : write.mutations) {
    PlannedMutation& planned = plan.mutations_.emplace_back();
    planned.type = mutation.type;
    planned.key = plan.add_key(mutation.key);
    if (!needs_value(mutation.type)) continue;
    planned.value.offset = static_cast<uint32_t>(plan.bytes_.size());
    append_stored_value(plan.bytes_,
                        {static_cast<Encoding>(mutation.value->encoding), 0, mutation.value->data});
    planned.value.size = static_cast<uint32_t>(plan.bytes_.size() - planned.value.offset);
  }
  return plan;
}

WritePlan::Slice WritePlan::add_key(std::string_view key) {
  const Slice slice{static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(key.size() + 1)};
  bytes_.push_back(kUserPrefix);
  bytes_.append(key);
  return slice;
}

Result<CommitRequest::Decision> WritePlan::run(Transaction& transaction,
                                               std::vector<uint32_t>& failed_checks) const {
  for (size_t i = 0; i < checks_.size(); ++i) {
    const PlannedCheck& check = checks_[i];
    TM_ASSIGN(const std::optional<Transaction::Value> found, transaction.get(view(check.key)));
    bool present = found.has_value();
    if (present) {
      TM_ASSIGN(const StoredValue value, parse_stored_value(found->bytes));
      present = !value.expired_at(transaction.timestamp_ms());
    }
    const bool holds = check.must_be_absent ? !present : present && found->versionstamp == check.versionstamp;
    if (!holds) failed_checks.push_back(static_cast<uint32_t>(i));
  }
  if (!failed_checks.empty()) return CommitRequest::Decision::kAbort;

  for (const PlannedMutation& mutation : mutations_) {
    if (mutation.type == MutationType::kDelete) {
      transaction.erase(view(mutation.key));
    } else {
      transaction.put(view(mutation.key), view(mutation.value));
    }
  }
  return CommitRequest::Decision::kCommit;
}

}  // namespace tidemark::kv
