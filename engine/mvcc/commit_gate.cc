#include "engine/mvcc/commit_gate.h"

#include <algorithm>

namespace tidemark {

RequestList CommitGate::pass(RequestList requests, uint64_t bytes, const Head::Value& last) {
  durable_ = std::max(durable_, last, [](const auto& a, const auto& b) { return a.stamp < b.stamp; });
  // Some wait only for what is before them to be durable here.
  RequestList waiting, passing;
  while (!requests.empty()) {
    CommitRequest& request = requests.pop();
    (request.passes_gate_ ? passing : waiting).push(request);
  }
  kept_.push_back({waiting, bytes});
  bytes_ += bytes;
  if (state_ == GateState::kGivesUp) {
    passing.append(drop("the database is about to be closed"));
    return passing;
  }
  // What was released may have become durable only now; and a request without commits may have seen nothing
  // that waits.
  passing.append(take_released(state_ == GateState::kOpen ? Versionstamp::max()
                                                          : std::max(head_.get().stamp, released_)));
  return passing;
}

RequestList CommitGate::release(Versionstamp up_to) {
  released_ = std::max(released_, up_to);
  return take_released(up_to);
}

RequestList CommitGate::set(GateState state) {
  state_ = state;
  switch (state) {
    case GateState::kHolds:
      return {};
    case GateState::kOpen:
      return take_released(Versionstamp::max());
    case GateState::kGivesUp:
      return drop("the database is about to be closed");
  }
  return {};
}

RequestList CommitGate::drop(const std::string& cause) {
  RequestList dropped;
  for (Kept& one : kept_) dropped.append(one.requests);
  kept_.clear();
  bytes_ = 0;
  dropped.fail_all({ErrorCode::kUnknownOutcome, "it is not known whether the commit will count: " + cause});
  return dropped;
}

RequestList CommitGate::take_released(Versionstamp up_to) {
  RequestList released;
  while (!kept_.empty()) {
    Kept& group = kept_.front();
    released.append(take_front(group.requests, up_to));
    if (!group.requests.empty()) break;
    bytes_ -= group.bytes;
    kept_.pop_front();
  }
  // Commits whose requests were dropped count as well.
  if (kept_.empty() && durable_.stamp <= up_to && durable_.stamp > head_.get().stamp) head_.set(durable_);
  return released;
}

RequestList CommitGate::take_front(RequestList& requests, Versionstamp up_to) {
  RequestList taken;
  const CommitOutcome* last = nullptr;
  while (!requests.empty()) {
    const CommitOutcome& outcome = requests.first()->outcome_;
    if (outcome.committed && outcome.versionstamp > up_to) break;
    if (outcome.committed) last = &outcome;
    taken.push(requests.pop());
  }
  if (last != nullptr) head_.set({last->versionstamp, last->timestamp_ms});
  return taken;
}

}  // namespace tidemark
