// Where the commits of a gated database wait between being durable here and being released
// (DatabaseOptions::gated).
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "engine/base/versionstamp.h"
#include "engine/mvcc/head.h"
#include "engine/mvcc/request_list.h"
#include "engine/options.h"

namespace tidemark {

// Moves the head, which nobody else does meanwhile. One thread at a time: its owner's lock is held. What is
// given back is to be answered.
class CommitGate {
 public:
  explicit CommitGate(Head& head) : head_(head) {}

  // The requests of a group that has become durable, `bytes` long, whose last commit is `last`.
  RequestList pass(RequestList requests, uint64_t bytes, const Head::Value& last);
  // Commits up to there become head.
  RequestList release(Versionstamp up_to);
  RequestList set(GateState state);
  // Nothing that waits can be released any more: it ends with an unknown outcome.
  RequestList drop(const std::string& cause);

  // Whether somebody is to be told that there is something to release.
  bool holds() const { return state_ == GateState::kHolds; }
  // Of the groups that wait.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Kept {
    RequestList requests;  // those that were not released yet
    uint64_t bytes;
  };

  RequestList take_released(Versionstamp up_to);
  // The same, of one group, which may go on above it.
  RequestList take_front(RequestList& requests, Versionstamp up_to);

  Head& head_;
  GateState state_ = GateState::kHolds;
  std::deque<Kept> kept_;
  uint64_t bytes_ = 0;
  Versionstamp released_;  // release() has come so far
  Head::Value durable_;    // the last commit that came by
};

}  // namespace tidemark
