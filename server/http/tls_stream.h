// TLS on one connection: a machine of bytes between the socket and the session. It does no I/O.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/http/output.h"
#include "server/http/tls_context.h"

namespace tidemark::http {

// What the TLS connections of one loop share. A connection has its own room only for what the system did not
// take.
struct TlsBuffers {
  static constexpr size_t kPlainBytes = 16 << 10;  // of one record
  std::unique_ptr<char[]> plain{new char[kPlainBytes]};
  std::string spare;
};

// One thread. Functions that make bytes for the socket append them to sealed().
class TlsStream {
 public:
  enum class State {
    kHandshake,
    kOpen,
    kEnded,   // the client has said that it sends no more; this side still may
    kFailed,  // send what is sealed (it tells the client why) and close
  };
  // `ssl`: new. `buffers` must outlive it.
  TlsStream(SslPointer ssl, TlsBuffers& buffers);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;

  State state() const { return state_; }
  // Whether ALPN chose HTTP/2. REQUIRES: kOpen was reached.
  bool http2() const;

  // Bytes from the socket. Call open() until it gives nothing; until then they must stay.
  void feed(std::string_view bytes) { input_ = bytes; }
  // The next bytes for the session, good until the next call of any function; empty when more input is needed
  // or the state says why there will be none.
  std::string_view open();

  // Seals kSealBytes of `segments`, or what there is behind the first `done` bytes, and adds to `done` what
  // it took. False if that failed. REQUIRES: kOpen or kEnded.
  bool seal(std::span<const Segment> segments, size_t& done);
  static constexpr size_t kSealBytes = 64 << 10;

  // Says that nothing more comes, once, if the handshake got that far.
  void close();

  // To be written to the socket.
  std::string_view sealed() const { return std::string_view(sealed_).substr(sent_); }
  // That much of it was written. To be called even if it was nothing: what is left is put where it may stay.
  void sent(size_t bytes);
  // So much waits that nothing more should be read: records may call for answers, too.
  bool congested() const { return sealed().size() > 2 * kSealBytes; }

 private:
  struct Bio;
  void check(int result);

  TlsBuffers& buffers_;
  SslPointer ssl_;
  State state_ = State::kHandshake;
  std::string_view input_;
  std::string sealed_;
  size_t sent_ = 0;        // of sealed_
  bool borrowed_ = false;  // sealed_ is the loop's spare
};

}  // namespace tidemark::http
