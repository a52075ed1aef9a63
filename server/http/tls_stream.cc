// OpenSSL reads from and writes to a BIO of ours: what has come from the socket, and sealed_. So one read of
// the socket may bring many records, and many records go out by one write. OpenSSL takes all that it is fed;
// the part of a record that has come so far stays with it.
//
// Small pieces are put together before they are sealed, so that records are full: a record costs 22 bytes and
// more time than its bytes.
#include "server/http/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace tidemark::http {

// No exception may cross OpenSSL's frames.
struct TlsStream::Bio {
  static TlsStream& self(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, size_t size, size_t* got) noexcept {
    BIO_clear_retry_flags(bio);
    std::string_view& input = self(bio).input_;
    *got = std::min(size, input.size());
    if (*got == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(to, input.data(), *got);
    input.remove_prefix(*got);
    return 1;
  }

  static int write(BIO* bio, const char* data, size_t size, size_t* taken) noexcept {
    BIO_clear_retry_flags(bio);
    try {
      self(bio).sealed_.append(data, size);
    } catch (...) {
      *taken = 0;
      return 0;
    }
    *taken = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static int create(BIO* bio) noexcept {
    BIO_set_init(bio, 1);
    return 1;
  }

  static const BIO_METHOD* method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
      if (made == nullptr) throw std::bad_alloc();
      BIO_meth_set_read_ex(made, read);
      BIO_meth_set_write_ex(made, write);
      BIO_meth_set_ctrl(made, control);
      BIO_meth_set_create(made, create);
      return made;
    }();
    return method;
  }
};

TlsStream::TlsStream(SslPointer ssl, TlsBuffers& buffers) : buffers_(buffers), ssl_(std::move(ssl)) {
  BIO* const bio = BIO_new(Bio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

bool TlsStream::http2() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return size == 2 && std::memcmp(name, "h2", 2) == 0;
}

// Takes over what OpenSSL says about a call that did not succeed.
void TlsStream::check(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kEnded;
      return;
    default:
      state_ = State::kFailed;
      ERR_clear_error();
  }
}

std::string_view TlsStream::open() {
  if (state_ == State::kEnded || state_ == State::kFailed) return {};
  ERR_clear_error();
  size_t size = 0;
  const int result = SSL_read_ex(ssl_.get(), buffers_.plain.get(), TlsBuffers::kPlainBytes, &size);
  if (result != 1) check(result);
  if (state_ == State::kHandshake && SSL_is_init_finished(ssl_.get())) state_ = State::kOpen;
  return {buffers_.plain.get(), size};
}

bool TlsStream::seal(std::span<const Segment> segments, size_t& done) {
  if (sealed_.empty() && !borrowed_) {
    sealed_.swap(buffers_.spare);
    borrowed_ = true;
    constexpr size_t kMostPerRecord = 64;
    sealed_.reserve(kSealBytes + (kSealBytes / TlsBuffers::kPlainBytes + 1) * kMostPerRecord);
  }
  ERR_clear_error();
  size_t at = done;  // in segments[i]
  size_t i = 0;
  const auto skip = [&] {
    while (i < segments.size() && at >= segments[i].size) at -= segments[i++].size;
  };
  skip();
  for (const size_t enough = done + kSealBytes; i < segments.size() && done < enough;) {
    const char* record = segments[i].data + at;
    size_t size = std::min(segments[i].size - at, TlsBuffers::kPlainBytes);
    at += size;
    skip();
    if (size < TlsBuffers::kPlainBytes && i < segments.size()) {
      std::memcpy(buffers_.plain.get(), record, size);
      record = buffers_.plain.get();
      while (i < segments.size() && size < TlsBuffers::kPlainBytes) {
        const size_t piece = std::min(segments[i].size - at, TlsBuffers::kPlainBytes - size);
        std::memcpy(buffers_.plain.get() + size, segments[i].data + at, piece);
        size += piece;
        at += piece;
        skip();
      }
    }
    size_t taken = 0;
    if (SSL_write_ex(ssl_.get(), record, size, &taken) != 1 || taken != size) {
      ERR_clear_error();
      state_ = State::kFailed;
      return false;
    }
    done += size;
  }
  return true;
}

void TlsStream::close() {
  if (state_ != State::kOpen && state_ != State::kEnded) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsStream::sent(size_t bytes) {
  sent_ += bytes;
  const std::string_view rest = sealed();
  if (borrowed_) {
    std::string own(rest);
    sealed_.clear();
    sealed_.swap(buffers_.spare);
    sealed_.swap(own);
    sent_ = 0;
    borrowed_ = false;
  } else if (rest.empty()) {
    std::string().swap(sealed_);
    sent_ = 0;
  } else if (sent_ > kSealBytes) {
    sealed_.erase(0, sent_);
    sent_ = 0;
  }
}

}  // namespace tidemark::http
