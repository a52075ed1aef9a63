#include "engine/mvcc/commit_gate.h"

#include <algorithm>

namespace tidemark {

RequestList CommitGate::pass(RequestList requests, uint64_t bytes) {
  kept_.push_back({requests.take_gated(), bytes});
  bytes_ += bytes;
  // What was released may have become durable only now; and a request without commits may have seen nothing
  // that waits.
  requests.append(ended_
                      ? take_all()
                      : take_released(open_ ? Versionstamp::max() : std::max(head_.get().stamp, released_)));
  return requests;
}

RequestList CommitGate::release(Versionstamp up_to) {
  released_ = std::max(released_, up_to);
  return take_released(up_to);
}

RequestList CommitGate::set_open(bool open) {
  open_ = open;
  return open ? take_released(Versionstamp::max()) : RequestList();
}

RequestList CommitGate::end(const std::string& cause) {
  if (!ended_)
    ended_ = {ErrorCode::kUnknownOutcome, "it is not known whether the commit will count: " + cause};
  return take_all();
}

RequestList CommitGate::take_all() {
  RequestList all;
  for (Kept& one : kept_) all.append(one.requests);
  kept_.clear();
  bytes_ = 0;
  for (CommitRequest* request = all.first(); request != nullptr; request = request->next_) {
    // What failed has not happened, whatever becomes of what it waited for.
    if (!request->outcome_.status) continue;
    request->outcome_ = {};
    request->outcome_.status = std::unexpected<Error>(*ended_);
  }
  return all;
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
