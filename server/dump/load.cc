#include "server/dump/load.h"

#include <algorithm>
#include <vector>

#include "engine/io/sync.h"

namespace tidemark::dump {
namespace {

std::unexpected<Error> bad_line(uint64_t number, const Error& why) {
  return fail(why.code, "line " + std::to_string(number) + ": " + why.message);
}

std::unexpected<Error> bad_line(uint64_t number, std::string why) {
  return bad_line(number, Error{ErrorCode::kInvalidArgument, std::move(why)});
}

class WaitingWrite final : public kv::WriteRequest {
 public:
  using WriteRequest::WriteRequest;

  CommitOutcome run_on(kv::Store& store) {
    store.submit(*this);
    answered_.wait();
    return outcome_;
  }

 private:
  void answer(const CommitOutcome& outcome) override {
    outcome_ = outcome;
    answered_.tell(1);
  }

  Signal answered_;
  CommitOutcome outcome_;
};

Status check_limits(const Line& line, const kv::Limits& limits) {
  const auto refuse = [](const char* text) { return fail(ErrorCode::kInvalidArgument, text); };
  if (line.key.size() > limits.max_write_key_bytes) return refuse(kv::text::kKeyTooLarge);
  if (line.value.data.size() > limits.max_value_bytes) return refuse(kv::text::kValueTooLarge);
  if (line.key.size() + line.value.data.size() > limits.max_transaction_bytes) {
    return refuse(kv::text::kTransactionTooLarge);
  }
  if (line.value.encoding == kv::Encoding::kLe64 && line.value.data.size() != kv::kLe64Bytes) {
    return refuse(kv::text::kBadLe64);
  }
  return {};
}

kv::Mutation mutation_of(const Line& line) {
  kv::Mutation mutation{.type = kv::MutationType::kDelete, .key = line.key, .value = {}};
  if (line.kind == Line::Kind::kEntry) {
    mutation.type = kv::MutationType::kSet;
    mutation.value = kv::Mutation::Value{line.value.data, static_cast<int32_t>(line.value.encoding)};
    mutation.expire_at_ms = line.expire_at_ms;
  }
  return mutation;
}

// As many of `lines` from `begin` on as one atomic write may have; the index of the first that is left.
size_t end_of_write(std::span<const Line> lines, size_t begin, const kv::Limits& limits) {
  size_t bytes = 0;
  size_t end = begin;
  for (; end < lines.size() && end - begin < limits.max_mutations; ++end) {
    bytes += lines[end].key.size() + lines[end].value.data.size();
    if (bytes > limits.max_transaction_bytes) break;
  }
  return end;
}

}  // namespace

Result<LoadedBatch> load_batch(kv::Store& store, std::span<const std::string> lines, uint64_t first_line,
                               bool begins) {
  LoadedBatch loaded;
  std::vector<Line> entries;
  for (size_t i = 0; i < lines.size(); ++i) {
    const uint64_t number = first_line + i;
    if (is_blank(lines[i])) continue;
    Result<Line> line = parse_line(lines[i]);
    if (!line) return bad_line(number, line.error());
    if (line->kind == Line::Kind::kHeader && (!begins || i != 0)) return bad_line(number, kAnotherDump);
    if (loaded.end) return bad_line(number, "there is more behind the last line of the dump");
    switch (line->kind) {
      case Line::Kind::kHeader:
        loaded.header = true;
        break;
      case Line::Kind::kEnd:
        loaded.end = line->counts;
        break;
      case Line::Kind::kEntry:
      case Line::Kind::kDeletion: {
        const Status fits = check_limits(*line, store.limits());
        if (!fits) return bad_line(number, fits.error());
        ++(line->kind == Line::Kind::kEntry ? loaded.counts.entries : loaded.counts.deletions);
        entries.push_back(std::move(*line));
        break;
      }
    }
  }
  for (size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
    end = end_of_write(entries, begin, store.limits());
    kv::AtomicWrite write;
    for (size_t i = begin; i < end; ++i) write.mutations.push_back(mutation_of(entries[i]));
    TM_ASSIGN(kv::WritePlan plan, store.plan(write));
    WaitingWrite request(std::move(plan));
    const CommitOutcome outcome = request.run_on(store);
    TM_TRY(outcome.status);
    loaded.versionstamp = outcome.versionstamp;
    ++loaded.transactions;
  }
  return loaded;
}

}  // namespace tidemark::dump
