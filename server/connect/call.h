// One request to KV Connect and its answer, whatever carried them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tidemark::connect {

// What carries a call. Valid until Service::handle() returns, and used on its thread only.
class Carrier {
 public:
  virtual ~Carrier() = default;
  // Called at most once, if the answer comes later and may be large: at most this many bytes.
  virtual void reserve(uint64_t bytes) = 0;
  // For an answer with a source: what is to be called, from any thread, whenever the source may have a piece
  // after it said that it had none. May outlive the call.
  virtual std::function<void()> waker() = 0;
};

// Views are valid until Service::handle() returns. Headers that were not sent are empty.
struct Call {
  std::string_view method;
  std::string_view path;  // without query; starts with '/'
  std::string_view authorization;
  std::string_view host;              // Host or :authority
  std::string_view database_id;       // x-denokv-database-id, or version 1's x-transaction-domain-id
  std::string_view protocol_version;  // x-denokv-version
  bool secure = false;                // came over TLS
  std::string_view body;
  Carrier* carrier = nullptr;
};

// A body that comes piece by piece.
class PieceSource {
 public:
  virtual ~PieceSource() = default;
  enum class Next {
    kPiece,    // `piece` holds the next one, not empty
    kNothing,  // nothing for now; the carrier's waker says when to ask again
    kEnd,
  };
  // Called by one thread at a time, when the client can take a piece; does not block. `piece` comes empty.
  virtual Next next(std::string& piece) = 0;
  // Asked after kNothing, by the same thread: how large the piece may become that another thread is making
  // now, in bytes; 0 if none is.
  virtual uint64_t bytes_in_making() const = 0;
};

struct Answer {
  int status = 200;
  std::string content_type;
  std::string body;
  std::shared_ptr<PieceSource> source = nullptr;  // instead of a body
  std::string_view keep_alive = {};  // to be sent when the source has given nothing for long; static
};

// Takes the answer, exactly once, on any thread; must not block.
using Done = std::move_only_function<void(Answer)>;

// A sentence for people, with the status that tells programs whether to try again.
Answer plain_text(int status, std::string sentence);

}  // namespace tidemark::connect
