// Requests in their order, linked by themselves.
#pragma once

#include "engine/transaction.h"

namespace tidemark {

// Owns nothing. A request is in one list at most.
class RequestList {
 public:
  bool empty() const { return first_ == nullptr; }
  // Null at the end.
  CommitRequest* first() const { return first_; }

  void push(CommitRequest& request) {
    request.next_ = nullptr;
    (first_ == nullptr ? first_ : last_->next_) = &request;
    last_ = &request;
  }
  // REQUIRES: not empty.
  CommitRequest& pop() {
    CommitRequest& request = *first_;
    first_ = request.next_;
    request.next_ = nullptr;
    return request;
  }
  // All of another, which is empty afterwards.
  void append(RequestList& more) {
    if (more.first_ == nullptr) return;
    (first_ == nullptr ? first_ : last_->next_) = more.first_;
    last_ = more.last_;
    more.first_ = nullptr;
  }
  void append(RequestList&& more) { append(more); }
  RequestList take() {
    RequestList all = *this;
    first_ = nullptr;
    return all;
  }
  // Those that wait for the gate of their database; the others stay.
  RequestList take_gated() {
    RequestList gated, rest;
    while (!empty()) {
      CommitRequest& request = pop();
      (request.passes_gate_ ? rest : gated).push(request);
    }
    *this = rest;
    return gated;
  }
  // Ends each with this error, whatever became of it before.
  void fail_all(const Error& error) {
    for (CommitRequest* request = first_; request != nullptr; request = request->next_) {
      request->outcome_ = {};
      request->outcome_.status = std::unexpected<Error>(error);
    }
  }

 private:
  CommitRequest* first_ = nullptr;
  CommitRequest* last_ = nullptr;  // if there is a first
};

}  // namespace tidemark
