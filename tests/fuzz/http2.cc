// HTTP/2 sessions.
//
// First byte: bit 0: small limits; bit 1: no preface is put before what comes. The parts are what happens,
// see event_of(); where that is bytes and the first byte of the part is above 127, they are not sent as they
// are but say which frames are sent. What comes back is whole frames, of streams that the client began; how
// the bytes were cut does not matter.
#include <map>

#include "server/http/http2_session.h"
#include "server/http/preface.h"
#include "tests/fuzz/session.h"

namespace tidemark::fuzz {
namespace {

void put_be(std::string& out, uint64_t value, int bytes) {
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> (8 * bytes)));
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out;
  put_be(out, payload.size(), 3);
  put_be(out, type, 1);
  put_be(out, flags, 1);
  put_be(out, stream, 4);
  return out.append(payload);
}

// HPACK: a literal without indexing, with a name of its own.
void put_field(std::string& out, std::string_view name, std::string_view value) {
  out.push_back('\0');
  for (const std::string_view text : {name.substr(0, 126), value.substr(0, 126)}) {
    out.push_back(static_cast<char>(text.size()));
    out.append(text);
  }
}

std::string fields(Input& in) {
  constexpr std::string_view kPaths[] = {"/",     "/later", "/stream", "/large",
                                         "/drop", "/none",  "/short",  "/throw"};
  std::string out;
  const uint8_t form = in.u8();
  if ((form & 1) == 0) {  // what every request has
    put_field(out, ":method", (form & 2) != 0 ? "HEAD" : "POST");
    put_field(out, ":scheme", "http");
    put_field(out, ":path", kPaths[form / 4 % 8]);
  }
  for (int more = form >> 5; more > 0; --more) {
    constexpr std::string_view kNames[] = {
        "content-length", "expect", "authorization", "x-denokv-version", "te", ":authority", "host", "x"};
    const uint8_t field = in.u8();
    switch (field % 4) {
      case 0:
        out.push_back(static_cast<char>(0x80 | field >> 2));  // from the table
        break;
      case 1:
        put_field(out, kNames[field / 4 % 8], in.text());
        break;
      case 2:
        put_field(out, "content-length", std::to_string(in.u16() % 5000));
        break;
      default:
        if (const std::string_view name = in.text(); true) put_field(out, name, in.text());
        break;
    }
  }
  return out;
}

std::string frames(Input in) {
  std::string out;
  while (!in.empty() && out.size() < 200'000) {
    const uint8_t form = in.u8();
    const uint32_t stream = form / 16 % 2 == 0 ? 1 + 2 * (in.u8() % 20u) : in.u8();
    const uint8_t flags = form / 32;  // END_STREAM is 1, END_HEADERS is 4
    switch (form % 16) {
      case 0:
      case 1:
        out += frame(NGHTTP2_HEADERS, static_cast<uint8_t>((flags & 1) | 4), stream, fields(in));
        break;
      case 2:
      case 3:
        out += frame(NGHTTP2_DATA, flags & 1, stream, std::string(size_t{in.u8()} << (flags & 6), 'd'));
        break;
      case 4:
        out += frame(NGHTTP2_DATA, flags & 9, stream, in.text());
        break;
      case 5:
        out += frame(NGHTTP2_RST_STREAM, 0, stream, std::string(3, '\0') + static_cast<char>(in.u8()));
        break;
      case 6: {
        std::string setting;
        put_be(setting, in.u8(), 2);
        put_be(setting, in.number(4), 4);
        out += frame(NGHTTP2_SETTINGS, flags & 1, 0, (flags & 1) != 0 ? "" : setting);
        break;
      }
      case 7:
        out += frame(NGHTTP2_PING, flags & 1, 0, "12345678");
        break;
      case 8: {
        std::string by;
        put_be(by, in.number(4) >> (flags * 4), 4);
        out += frame(NGHTTP2_WINDOW_UPDATE, 0, form / 16 % 2 == 0 ? 0 : stream, by);
        break;
      }
      case 9:
        out += frame(NGHTTP2_PRIORITY, 0, stream, std::string(4, '\0') + "\x10");
        break;
      case 10:
        out += frame(NGHTTP2_HEADERS, flags & 1, stream, fields(in));  // goes on
        break;
      case 11:
        out += frame(NGHTTP2_CONTINUATION, flags & 4, stream, fields(in));
        break;
      case 12:
        out += frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0'));
        break;
      case 13: {  // many of one kind
        const std::string one = frame(NGHTTP2_PING, 0, 0, "12345678");
        for (int i = in.u8(); i > 0; --i) out += one;
        break;
      }
      default:
        out += frame(in.u8(), in.u8(), stream, in.text());
        break;
    }
  }
  return out;
}

// Returns whether the server said that it ends the connection.
bool check_output(std::string_view text) {
  struct Stream {
    bool begun = false;  // its final headers have been sent
    bool ended = false;
  };
  std::map<uint64_t, Stream> streams;
  bool goaway = false;
  while (!text.empty()) {
    TM_CHECK(text.size() >= 9);
    const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const size_t length = size_t{at(0)} << 16 | size_t{at(1)} << 8 | at(2);
    const uint8_t type = at(3), flags = at(4);
    const uint64_t id = uint64_t{at(5)} << 24 | uint64_t{at(6)} << 16 | uint64_t{at(7)} << 8 | at(8);
    TM_CHECK(length <= 16384 && text.size() - 9 >= length && id < uint64_t{1} << 31);
    text.remove_prefix(9 + length);
    if (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) {
      Stream& stream = streams[id];
      TM_CHECK(id % 2 == 1 && !stream.ended);
      if (type == NGHTTP2_DATA) TM_CHECK(stream.begun);
      stream.begun = true;
      stream.ended = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
    }
    if (type == NGHTTP2_RST_STREAM) streams[id].ended = true;
    goaway |= type == NGHTTP2_GOAWAY;
  }
  return goaway;
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  namespace http = tidemark::http;
  Input input(data, size);
  const uint8_t form = input.u8();
  const bool small = (form & 1) != 0;
  std::vector<Event> events;
  if ((form & 2) == 0)
    events.push_back({Event::kBytes, std::string(http::kHttp2Preface) + frame(NGHTTP2_SETTINGS, 0, 0, "")});
  bool only_bytes = true;
  for (const std::string_view part : split(input.rest())) {
    Input in(part);
    const uint8_t kind = in.u8();
    events.push_back(event_of(kind, kind > 127 ? frames(in) : std::string(in.rest())));
    only_bytes &= events.back().kind == Event::kBytes;
  }
  const auto make = [](http::Peer& peer) { return http::make_http2_session(peer); };
  const Seen seen = run_connection(make, events, small);
  const bool goaway = check_output(seen.output);
  // With small limits it matters how much is answered before more comes.
  if (!only_bytes || small) return 0;
  // A client that has said GOAWAY is let go as soon as none of its streams is open, which may be before what
  // it sends after that has come.
  if (seen.ended_early && !goaway) return 0;
  // What comes at once with something that ends a stream or the connection may not get to the Handler any
  // more.
  Seen other = run_connection(make, joined(events), small);
  check_output(other.output);
  std::vector<std::string> requests = seen.requests;
  std::ranges::sort(requests);
  std::ranges::sort(other.requests);
  TM_CHECK(std::ranges::includes(requests, other.requests));
  return 0;
}
