// Two steps. prepare() runs on the network thread of the request: it checks everything that can be checked
// without reading, and lays engine keys and stored values out in one string. run() is what the engine calls,
// one transaction after the other, so all that it does is look up the checked keys and hand over slices of
// that string, but for sums, min and max, which need what is stored.
//
// The order of the refusals follows denokv: counts, then the checks, the mutations, the enqueues, the total
// size.
#include "server/kv/write_plan.h"

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/base/versionstamp.h"
#include "server/kv/arithmetic.h"
#include "server/kv/keyspace.h"
#include "server/kv/queue_message.h"

namespace tidemark::kv {
namespace {

constexpr size_t kHeaderBytes = 1;  // of a stored value without expiry
// What a set with a versionstamp suffix appends to the client's key: one string part.
constexpr char kStringPart = 0x02;
constexpr size_t kHexChars = 2 * Versionstamp::kBytes;
constexpr size_t kSuffixBytes = 1 + kHexChars + 1;

std::unexpected<Error> refuse(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument, std::string(text));
}

Status check_key(std::string_view key, size_t max_bytes) {
  if (key.size() > max_bytes) return refuse(text::kKeyTooLarge);
  return {};
}

bool is_mutation_type(MutationType type) {
  switch (type) {
    case MutationType::kSet:
    case MutationType::kDelete:
    case MutationType::kSum:
    case MutationType::kMax:
    case MutationType::kMin:
    case MutationType::kSetSuffixVersionstampedKey:
      return true;
  }
  return false;
}

bool is_arithmetic(MutationType type) {
  return type == MutationType::kSum || type == MutationType::kMax || type == MutationType::kMin;
}

ArithmeticMutation arithmetic_of(const Mutation& mutation) {
  return {mutation.type,        static_cast<Encoding>(mutation.value->encoding),
          mutation.value->data, mutation.sum_min,
          mutation.sum_max,     mutation.sum_clamp};
}

// The size that counts for the total, or why the mutation is not legal.
Result<size_t> check_mutation(const Mutation& mutation, const Limits& limits) {
  TM_TRY(check_key(mutation.key, limits.max_write_key_bytes));
  if (!is_mutation_type(mutation.type) && !TM_MUTANT("limit.mutation-kind"))
    return refuse(text::kBadMutation);
  if (mutation.expire_at_ms < -1 + TM_OFF_BY_ONE("limit.expire-at")) return refuse(text::kBadExpiry);
  if (TM_MUTANT("delete.ignores-value") && mutation.type == MutationType::kDelete && mutation.value)
    return refuse(text::kBadMutation);
  if (TM_MUTANT("limit.total/delete-keys") && mutation.type == MutationType::kDelete) return 0;
  if (mutation.type == MutationType::kDelete) return mutation.key.size();
  if (TM_MUTANT("limit.mutation-value") && !mutation.value) return refuse(text::kBadExpiry);
  if (!mutation.value) return refuse(text::kBadMutation);
  const Mutation::Value& value = *mutation.value;
  if (value.encoding < static_cast<int32_t>(Encoding::kV8) ||
      value.encoding > static_cast<int32_t>(Encoding::kBytes) + TM_OFF_BY_ONE("limit.encoding")) {
    return refuse(text::kBadMutation);
  }
  // A bound is no larger than a value may be, either.
  if (std::max({value.data.size(), mutation.sum_min.size(), mutation.sum_max.size()}) >
      limits.max_value_bytes + TM_OFF_BY_ONE("limit.value")) {
    return refuse(text::kValueTooLarge);
  }
  if (value.encoding == static_cast<int32_t>(Encoding::kLe64) && value.data.size() != kLe64Bytes &&
      !TM_MUTANT("limit.le64-length")) {
    return refuse(text::kBadLe64);
  }
  if (is_arithmetic(mutation.type)) TM_TRY(check_arithmetic(arithmetic_of(mutation)));
  if (TM_MUTANT("limit.total/bounds"))
    return mutation.key.size() + value.data.size() + mutation.sum_min.size();
  return mutation.key.size() + value.data.size();
}

Result<size_t> check_enqueue(const Enqueue& enqueue, const Limits& limits, int64_t now_ms) {
  if (enqueue.payload.size() > limits.max_value_bytes + TM_OFF_BY_ONE("limit.payload"))
    return refuse(text::kValueTooLarge);
  if (enqueue.keys_if_undelivered.size() > limits.max_undelivered_keys) {
    return refuse(text::kTooManyUndeliveredKeys);
  }
  size_t size = enqueue.payload.size();
  for (const std::string_view key : enqueue.keys_if_undelivered) {
    TM_TRY(check_key(key, limits.max_write_key_bytes + TM_OFF_BY_ONE("limit.undelivered-key")));
    if (!TM_MUTANT("limit.total/undelivered")) size += key.size();
  }
  if (enqueue.backoff_schedule_ms.size() > limits.max_backoff_intervals) {
    return refuse(text::kTooManyBackoffIntervals);
  }
  for (const uint32_t ms : enqueue.backoff_schedule_ms) {
    if (ms > limits.max_backoff_interval_ms) return refuse(text::kBackoffTooLong);
    if (!TM_MUTANT("limit.total/backoff")) size += sizeof ms;
  }
  if (TM_MUTANT("limit.deadline/past") && enqueue.deadline_ms < now_ms) return refuse(text::kBadDeadline);
  if (enqueue.deadline_ms > now_ms && enqueue.deadline_ms - now_ms > limits.max_enqueue_delay_ms &&
      !TM_MUTANT("limit.deadline")) {
    return refuse(text::kBadDeadline);
  }
  return size;
}

}  // namespace

Result<WritePlan> WritePlan::prepare(const AtomicWrite& write, const Limits& limits, int64_t now_ms) {
  if (write.checks.size() > limits.max_checks + TM_OFF_BY_ONE("limit.checks"))
    return refuse(text::kTooManyChecks);
  if (write.mutations.size() + (TM_MUTANT("limit.mutations/enqueues") ? 0 : write.enqueues.size()) >
      limits.max_mutations) {
    return refuse(text::kTooManyMutations);
  }

  size_t total = 0;  // cannot overflow: every summand lies in a request body in memory
  for (const Check& check : write.checks) {
    TM_TRY(check_key(check.key, limits.max_read_key_bytes + TM_OFF_BY_ONE("limit.check-key")));
    if (!check.versionstamp.empty() && check.versionstamp.size() != Versionstamp::kBytes &&
        !(TM_MUTANT("limit.versionstamp") && check.versionstamp.size() > Versionstamp::kBytes)) {
      return refuse(text::kBadVersionstamp);
    }
    if (!TM_MUTANT("limit.total/check-keys")) total += check.key.size();
  }
  for (const Mutation& mutation : write.mutations) {
    TM_ASSIGN(const size_t size, check_mutation(mutation, limits));
    total += size;
  }
  for (const Enqueue& enqueue : write.enqueues) {
    TM_ASSIGN(const size_t size, check_enqueue(enqueue, limits, now_ms));
    total += size;
  }
  if (total > limits.max_transaction_bytes + TM_OFF_BY_ONE("limit.total"))
    return refuse(text::kTransactionTooLarge);

  WritePlan plan;
  plan.bytes_.reserve(total + write.checks.size() + write.mutations.size() * (1 + kHeaderBytes));
  plan.checks_.reserve(write.checks.size());
  plan.mutations_.reserve(write.mutations.size());
  for (const Check& check : write.checks) {
    PlannedCheck& planned = plan.checks_.emplace_back();
    planned.key = plan.add({&kUserPrefix, 1}, check.key);
    planned.must_be_absent = check.versionstamp.empty();
    if (!planned.must_be_absent) planned.versionstamp = Versionstamp::from_bytes(check.versionstamp.data());
  }
  for (const Mutation& mutation : write.mutations) plan.add_mutation(mutation);
  for (const Enqueue& enqueue : write.enqueues) {
    const size_t begin = plan.bytes_.size();
    append_queue_message(plan.bytes_, enqueue);
    plan.enqueues_.push_back({std::max<int64_t>(enqueue.deadline_ms, 0), plan.end_slice(begin)});
  }
  return plan;
}

bool WritePlan::only_deletes() const {
  return enqueues_.empty() && std::ranges::all_of(mutations_, [](const PlannedMutation& mutation) {
           return mutation.type == MutationType::kDelete;
         });
}

void WritePlan::add_mutation(const Mutation& mutation) {
  PlannedMutation& planned = mutations_.emplace_back();
  planned.type = mutation.type;
  const bool suffixed = mutation.type == MutationType::kSetSuffixVersionstampedKey;
  // The versionstamp is not known yet; its place is kept.
  std::string suffix;
  if (suffixed) suffix = kStringPart + std::string(kSuffixBytes - 1, '\0');
  planned.key = add({&kUserPrefix, 1}, mutation.key);
  planned.key.size += add({}, suffix).size;
  if (mutation.type == MutationType::kDelete) return;

  if (is_arithmetic(mutation.type)) {
    planned.value = add({}, mutation.value->data);
    planned.operand = static_cast<uint32_t>(operands_.size());
    operands_.push_back({static_cast<Encoding>(mutation.value->encoding), add({}, mutation.sum_min),
                         add({}, mutation.sum_max), mutation.sum_clamp});
    return;
  }
  int64_t expire_at_ms = std::max<int64_t>(mutation.expire_at_ms, 0);
  if (TM_MUTANT("expiry.never") && mutation.expire_at_ms == -1) expire_at_ms = 1;
  const size_t begin = bytes_.size();
  append_stored_value(bytes_,
                      {static_cast<Encoding>(mutation.value->encoding), expire_at_ms, mutation.value->data});
  planned.value = end_slice(begin);
  if (expire_at_ms == 0) return;
  planned.expiry = add(expiry_key_from(expire_at_ms), mutation.key);
  planned.expiry.size += add({}, suffix).size;
  if (earliest_expiry_ms_ == 0 || expire_at_ms < earliest_expiry_ms_) earliest_expiry_ms_ = expire_at_ms;
}

WritePlan::Slice WritePlan::add(std::string_view prefix, std::string_view bytes) {
  const size_t begin = bytes_.size();
  bytes_.append(prefix);
  bytes_.append(bytes);
  return end_slice(begin);
}

WritePlan::Slice WritePlan::end_slice(size_t begin) const {
  return {static_cast<uint32_t>(begin), static_cast<uint32_t>(bytes_.size() - begin)};
}

// Fills in what a suffixed key left open.
void WritePlan::put_suffix(Slice key, const std::string& versionstamp_hex) {
  if (key.size == 0) return;
  std::ranges::copy(versionstamp_hex, bytes_.begin() + key.offset + key.size - 1 - kHexChars);
}

Result<CommitRequest::Decision> WritePlan::run(Transaction& transaction,
                                               std::vector<uint32_t>& failed_checks) {
  if (TM_MUTANT("mutation.order")) std::ranges::reverse(mutations_);
  if (TM_MUTANT("check.before-mutations"))
    for (const PlannedMutation& mutation : mutations_) TM_TRY(apply(mutation, transaction));
  for (size_t i = 0; i < checks_.size(); ++i) {
    const PlannedCheck& check = checks_[i];
    TM_ASSIGN(const std::optional<Transaction::Value> found, transaction.get(view(check.key)));
    bool present = found.has_value();
    if (present) {
      TM_ASSIGN(const StoredValue value, parse_stored_value(found->bytes));
      present = TM_MUTANT("expiry.hidden.check") || !value.expired_at(transaction.timestamp_ms());
    }
    bool holds = check.must_be_absent ? !present : present && found->versionstamp == check.versionstamp;
    if (TM_MUTANT("check.present")) holds |= present && !check.must_be_absent;
    if (TM_MUTANT("check.whole-stamp"))
      holds |= present && found->versionstamp.number == check.versionstamp.number;
    if (TM_MUTANT("check.absent")) holds |= check.must_be_absent;
    if (TM_MUTANT("check.present-on-absent")) holds |= !present;
    if (!holds) failed_checks.push_back(static_cast<uint32_t>(i));
    if (TM_MUTANT("check.failed-checks") && !holds) break;
  }
  if (!failed_checks.empty() && !TM_MUTANT("check.nothing-written")) return CommitRequest::Decision::kAbort;
  if (TM_MUTANT("versionstamp.empty-write") && mutations_.empty()) return CommitRequest::Decision::kAbort;

  for (const PlannedMutation& mutation : mutations_) {
    const Status applied = apply(mutation, transaction);
    if (!applied && TM_MUTANT("write.all-or-nothing")) return CommitRequest::Decision::kCommit;
    TM_TRY(applied);
  }
  for (uint32_t i = 0; i < enqueues_.size(); ++i) {
    const int64_t deliver_at_ms = std::max(enqueues_[i].deadline_ms, transaction.timestamp_ms());
    if (TM_MUTANT("enqueue.stored")) break;
    transaction.put(queue_key(deliver_at_ms, transaction.versionstamp(), i), view(enqueues_[i].message));
  }
  return CommitRequest::Decision::kCommit;
}

Status WritePlan::apply(const PlannedMutation& mutation, Transaction& transaction) {
  switch (mutation.type) {
    case MutationType::kDelete:
      if (!TM_MUTANT("delete.removes")) transaction.erase(view(mutation.key));
      return {};
    case MutationType::kSetSuffixVersionstampedKey: {
      std::string hex = transaction.versionstamp().hex();
      if (TM_MUTANT("suffix.key")) hex.front() = '1';
      put_suffix(mutation.key, hex);
      if (!TM_MUTANT("suffix.expires")) put_suffix(mutation.expiry, hex);
      break;
    }
    case MutationType::kSet:
      break;
    case MutationType::kSum:
    case MutationType::kMax:
    case MutationType::kMin: {
      TM_ASSIGN(const std::optional<Transaction::Value> found, transaction.get(view(mutation.key)));
      std::optional<StoredValue> stored;
      if (found) {
        TM_ASSIGN(stored, parse_stored_value(found->bytes));
        if (stored->expired_at(transaction.timestamp_ms()) && !TM_MUTANT("expiry.hidden.arithmetic"))
          stored.reset();
      }
      const Operand& operand = operands_[mutation.operand];
      TM_ASSIGN(const ArithmeticResult result,
                apply_arithmetic({mutation.type, operand.encoding, view(mutation.value), view(operand.min),
                                  view(operand.max), operand.clamp},
                                 stored));
      std::string value;
      const bool keeps_expiry = TM_MUTANT("arithmetic.clears-expiry") && stored;
      append_stored_value(value, {result.encoding, keeps_expiry ? stored->expire_at_ms : 0, result.data});
      transaction.put(view(mutation.key), value);
      return {};
    }
  }
  transaction.put(view(mutation.key), view(mutation.value));
  if (mutation.expiry.size != 0) transaction.put(view(mutation.expiry), {});
  return {};
}

}  // namespace tidemark::kv
