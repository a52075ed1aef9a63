// One HTTP connection without a network: a session, a Handler that answers as the path says, and what the
// client would see.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/session.h"
#include "tests/fuzz/input.h"

namespace tidemark::fuzz {

// What happens to a connection, one after the other.
struct Event {
  enum Kind {
    kBytes,   // come from the client
    kAnswer,  // the oldest answer that was put off is given
    kPiece,   // all sources have another piece
    kTick,    // time passes: `milliseconds`
    kDrain,   // the server is to stop
    kEndOfInput,
  } kind = kBytes;
  std::string bytes = {};
  int64_t milliseconds = 0;
};

struct Seen {
  std::vector<std::string> requests;  // as given to the Handler: method, path, body and what else counts
  std::vector<bool> heads;            // of each, whether it was HEAD
  std::string output;                 // all that was sent
  bool failed = false;                // the connection was ended without a word
  bool finished = false;
  bool ended_early = false;  // before the server was told to stop
};

using MakeSession = std::function<std::unique_ptr<http::Session>(http::Peer&)>;

// Runs a connection to its end, and checks that nothing is held of it when it is gone. `small`: with limits
// that are easily met.
Seen run_connection(const MakeSession& make, const std::vector<Event>& events, bool small);

// The same with all bytes that come one after the other in one piece, or each byte by itself.
std::vector<Event> joined(const std::vector<Event>& events);
std::vector<Event> torn(const std::vector<Event>& events);

// The events of an input: its parts, the first byte of each says what, the rest are bytes that come.
Event event_of(uint8_t form, std::string bytes);

}  // namespace tidemark::fuzz
