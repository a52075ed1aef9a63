#include "engine/verify/reporter.h"

#include <algorithm>

#include "engine/base/hex.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kMaxOfOneSort = 20;
constexpr uint64_t kProgressBytes = uint64_t{1} << 20;
constexpr size_t kMaxShownBytes = 80;

}  // namespace

void Reporter::report(const FindingKind& kind, const std::string& file, std::optional<uint64_t> offset,
                      std::string what) {
  ++count_;
  auto& [first_kind, number] = reported_[{file, kind.code}];
  first_kind = kind;
  if (++number <= kMaxOfOneSort && findings_) findings_({kind, file, offset, std::move(what)});
}

void Reporter::report(const FindingKind& kind, const std::string& file, std::optional<uint64_t> offset,
                      const Error& error) {
  const FindingKind& as = error.code == ErrorCode::kNewerFormat                                ? kNewerFormat
                          : error.code == ErrorCode::kIo || error.code == ErrorCode::kNotFound ? kUnreadable
                                                                                               : kind;
  report(as, file, offset, error.message);
}

void Reporter::finish() {
  for (auto& [place, entry] : reported_) {
    auto& [kind, number] = entry;
    if (number > kMaxOfOneSort && findings_)
      findings_({kind, place.first, std::nullopt,
                 "and " + std::to_string(number - kMaxOfOneSort) + " more of this sort in this file"});
    number = 0;
  }
}

void Reporter::advance(uint64_t bytes) {
  if (parent_ != nullptr) return parent_->advance(bytes);
  done_ += bytes;
  if (progress_ && (done_ - told_ >= kProgressBytes || done_ >= total_)) {
    told_ = done_;
    progress_(std::min(done_, total_), total_);
  }
}

std::string shown(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes.substr(0, kMaxShownBytes)) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out += "\\x";
      append_hex(out, byte);
    }
  }
  return out + (bytes.size() > kMaxShownBytes ? "\"..." : "\"");
}

}  // namespace tidemark::verify
