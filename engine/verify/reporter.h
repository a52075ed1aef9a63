// Where the parts of a check put what they find and how far they have come.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/status.h"
#include "engine/verify/finding.h"

namespace tidemark::verify {

// One thread.
class Reporter {
 public:
  // Either may be empty.
  Reporter(FindingSink findings, ProgressSink progress)
      : findings_(std::move(findings)), progress_(std::move(progress)) {}
  // For reading again what was reported on before: only progress counts, as that of `parent`.
  explicit Reporter(Reporter* parent) : parent_(parent) {}

  // Of one sort in one file only so many are passed on; finish() tells how many more there were.
  void report(const FindingKind& kind, const std::string& file, std::optional<uint64_t> offset,
              std::string what);
  // `error` of reading a piece of `file`: as kNewerFormat or kUnreadable if it is that, else as `kind`.
  void report(const FindingKind& kind, const std::string& file, std::optional<uint64_t> offset,
              const Error& error);
  void finish();

  uint64_t count() const { return count_; }

  void add_total(uint64_t bytes) { total_ += bytes; }
  void advance(uint64_t bytes);

 private:
  Reporter* parent_ = nullptr;
  FindingSink findings_;
  ProgressSink progress_;
  std::map<std::pair<std::string, std::string>, std::pair<FindingKind, uint64_t>> reported_;
  uint64_t count_ = 0;
  uint64_t total_ = 0;
  uint64_t done_ = 0;
  uint64_t told_ = 0;
};

// A key or a name from a file, fit to stand in a message: quoted, at most some tens of characters, others
// than printable ASCII as \xNN.
std::string shown(std::string_view bytes);

}  // namespace tidemark::verify
