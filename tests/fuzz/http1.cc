// HTTP/1.1 sessions.
//
// First byte: bit 0: small limits; bit 1: an end of input comes at the end. The parts are what happens, see
// event_of(); pieces of bytes are cut where the input has its marks.
// What comes back is whole answers, in the order of the requests; how the bytes were cut does not matter.
#include <algorithm>
#include <charconv>
#include <optional>

#include "server/http/preface.h"
#include "tests/fuzz/session.h"

namespace tidemark::fuzz {
namespace {

// Whether `text` begins with that, which is taken off.
bool take(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

// A body in chunks; false if its end is missing.
bool take_chunks(std::string_view& text) {
  while (true) {
    size_t size = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, size, 16);
    if (parsed.ptr == text.data()) return false;
    text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
    TM_CHECK(take(text, "\r\n"));
    TM_CHECK(size <= text.size());
    text.remove_prefix(size);
    TM_CHECK(take(text, "\r\n"));
    if (size == 0) return true;
  }
}

// All answers are whole, and belong to requests; what the layer refuses itself may follow once. Gives what
// was sent before that.
std::string_view check_output(const Seen& seen, bool end_of_input) {
  std::string_view text = seen.output;
  size_t answers = 0, before_last = 0;
  bool closed = false;
  while (!text.empty()) {
    TM_CHECK(!closed);
    const size_t begin = seen.output.size() - text.size();
    TM_CHECK(take(text, "HTTP/1.1 ") && text.size() > 4);
    const std::string_view status = text.substr(0, 3);
    TM_CHECK(text[3] == ' ' && status[0] >= '1' && status[0] <= '5');
    const size_t end = text.find("\r\n\r\n");
    TM_CHECK(end != text.npos);
    std::string_view head = text.substr(0, end + 2);
    text.remove_prefix(end + 4);
    if (status == "100") continue;
    const bool is_head = answers < seen.heads.size() && seen.heads[answers];
    ++answers;
    before_last = begin;
    const auto value_of = [&](std::string_view name) -> std::optional<std::string_view> {
      const size_t at = head.find(name);
      if (at == head.npos) return std::nullopt;
      const std::string_view rest = head.substr(at + name.size());
      return rest.substr(0, rest.find('\r'));
    };
    closed = value_of("\r\nConnection: ") == "close";
    if (const auto length = value_of("\r\nContent-Length: ")) {
      size_t bytes = 0;
      TM_CHECK(std::from_chars(length->begin(), length->end(), bytes).ptr == length->end());
      if (is_head) bytes = 0;
      TM_CHECK(bytes <= text.size());
      text.remove_prefix(bytes);
    } else if (value_of("\r\nTransfer-Encoding: chunked")) {
      TM_CHECK(closed && !is_head);
      TM_CHECK(take_chunks(text));
    } else if (status != "204" && status != "304" && !is_head) {
      TM_CHECK(closed);
      text = {};  // ends with the connection
    }
  }
  TM_CHECK(answers == seen.requests.size() || answers == seen.requests.size() + 1 ||
           (end_of_input && answers < seen.requests.size()));
  return std::string_view(seen.output)
      .substr(0, answers > seen.requests.size() ? before_last : seen.output.size());
}

// Whether a client is told to go on depends on whether it already has.
std::string without_continue(std::string_view output) {
  std::string text(output);
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at; (at = text.find(kContinue)) != text.npos;) text.erase(at, kContinue.size());
  return text;
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  namespace http = tidemark::http;
  Input input(data, size);
  const uint8_t form = input.u8();
  const bool small = (form & 1) != 0, end_of_input = (form & 2) != 0;
  std::vector<Event> events;
  std::string all;
  bool only_bytes = true;
  for (const std::string_view part : split(input.rest())) {
    Input in(part);
    const uint8_t kind = in.u8();
    events.push_back(event_of(kind, std::string(in.rest())));
    only_bytes &= events.back().kind == Event::kBytes;
    if (events.back().kind == Event::kBytes) all += events.back().bytes;
  }
  if (end_of_input) events.push_back({Event::kEndOfInput});

  const http::Protocol whole = http::detect_protocol(all);
  for (size_t n = 0; n <= std::min<size_t>(all.size(), 24); ++n) {
    const http::Protocol part = http::detect_protocol(std::string_view(all).substr(0, n));
    TM_CHECK(part == whole || part == http::Protocol::kUndecided);
  }
  TM_CHECK(whole != http::Protocol::kUndecided || all.size() < http::kHttp2Preface.size());

  const auto make = [](http::Peer& peer) { return http::make_http1_session(peer); };
  const Seen seen = run_connection(make, events, small);
  TM_CHECK(!seen.failed);
  const std::string_view answers = check_output(seen, end_of_input);
  // When a client is seen to have gone depends on what was read before.
  if (!only_bytes || end_of_input) return 0;
  for (const auto& other_events : {joined(events), torn(events)}) {
    const Seen other = run_connection(make, other_events, small);
    // Whether the last line of a head counts for its limit depends, in Beast, on what comes with it: one of
    // the two may end sooner.
    const auto too_large = [](const Seen& one) {
      return one.output.find("HTTP/1.1 431 ") != std::string::npos;
    };
    if (too_large(seen) || too_large(other)) {
      const size_t both = std::min(seen.requests.size(), other.requests.size());
      TM_CHECK(std::equal(seen.requests.begin(), seen.requests.begin() + static_cast<ptrdiff_t>(both),
                          other.requests.begin()));
      continue;
    }
    TM_CHECK(other.requests == seen.requests);
    // Of a request that is wrong, or not whole, it may be seen sooner or later, in one way or another.
    TM_CHECK(without_continue(check_output(other, false)) == without_continue(answers));
  }
  return 0;
}
