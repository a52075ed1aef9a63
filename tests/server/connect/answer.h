// Calls of a service, for tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "engine/io/sync.h"
#include "server/connect/service.h"

namespace tidemark::test {

// Makes the call and waits for its answer, which must be given once.
inline connect::Answer answer_of(connect::Service& service, const connect::Call& call) {
  Mutex mutex;
  CondVar answered;
  std::optional<connect::Answer> answer;
  service.handle(call, [&](connect::Answer given) {
    MutexLock lock(mutex);
    EXPECT_FALSE(answer.has_value());
    answer = std::move(given);
    answered.notify_all();
  });
  MutexLock lock(mutex);
  while (!answer) answered.wait(mutex);
  return *answer;
}

}  // namespace tidemark::test
