// Where the commits of a gated database wait between being durable here and being released
// (DatabaseOptions::gated).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/mvcc/head.h"
#include "engine/mvcc/request_list.h"

namespace tidemark {

// Moves the head, which nobody else does meanwhile. One thread at a time: its owner's lock is held. What is
// given back is to be answered.
class CommitGate {
 public:
  explicit CommitGate(Head& head) : head_(head) {}

  // The requests of a group that has become durable, `bytes` long.
  RequestList pass(RequestList requests, uint64_t bytes);
  // Commits up to there become head.
  RequestList release(Versionstamp up_to);
  // Open: all are released at once.
  RequestList set_open(bool open);
  // Nothing is released from now on: what waits, and what comes, ends with an unknown outcome.
  RequestList end(const std::string& cause);

  bool open() const { return open_; }
  bool ended() const { return ended_.has_value(); }
  // Of the groups that wait.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Kept {
    RequestList requests;  // those that were not released yet
    uint64_t bytes;
  };

  RequestList take_all();
  RequestList take_released(Versionstamp up_to);
  // The same, of one group, which may go on above it.
  RequestList take_front(RequestList& requests, Versionstamp up_to);

  Head& head_;
  bool open_ = false;
  std::optional<Error> ended_;  // what those that come then end with
  std::deque<Kept> kept_;
  uint64_t bytes_ = 0;
  Versionstamp released_;  // release() has come so far
};

}  // namespace tidemark
