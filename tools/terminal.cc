#include "tools/terminal.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace tidemark::tools {
namespace {

constexpr int64_t kPauseMs = 200;

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

Status not_written() {
  return fail(ErrorCode::kIo, "the lines could not be written: " + std::generic_category().message(errno));
}

}  // namespace

ProgressLine::ProgressLine() : on_(::isatty(STDERR_FILENO) != 0) {}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::show(std::string_view text) {
  if (!on_ || (there_ && now_ms() - shown_ms_ < kPauseMs)) return;
  std::fprintf(stderr, "\r\x1b[K%.*s", static_cast<int>(text.size()), text.data());
  std::fflush(stderr);
  shown_ms_ = now_ms();
  there_ = true;
}

void ProgressLine::clear() {
  if (there_) std::fputs("\r\x1b[K", stderr);
  there_ = false;
}

Status FileLines::line(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fputc('\n', file_) == EOF) {
    return not_written();
  }
  return {};
}

Status FileLines::progress(std::string_view text) {
  progress_.show(text);
  return {};
}

Status FileLines::flush() {
  progress_.clear();
  return std::fflush(file_) == 0 ? Status() : not_written();
}

}  // namespace tidemark::tools
