// What happened between two moments.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/commit_point.h"

namespace tidemark {

// Takes commits one by one, each followed by its writes.
class HistoryVisitor {
 public:
  virtual ~HistoryVisitor() = default;
  // False: enough, nothing more is given.
  virtual bool on_commit(const CommitPoint& commit, uint32_t writes) = 0;
  // A key that the commit wrote or erased. The view is valid during the call.
  virtual void on_write(std::string_view key, bool erased) = 0;
};

// The same, with what was written.
class WriteVisitor {
 public:
  virtual ~WriteVisitor() = default;
  // False: enough, nothing more is given.
  virtual bool on_commit(const CommitPoint& commit, uint32_t writes) = 0;
  // Views are valid during the call.
  virtual void on_put(std::string_view key, std::string_view value) = 0;
  virtual void on_erase(std::string_view key) = 0;
};

}  // namespace tidemark
