// Integers to bytes and back. Fixed-width integers of our file formats are little-endian, but for
// versionstamps, which are big-endian as on the wire.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tidemark {

static_assert(std::endian::native == std::endian::little, "file formats are read and written in place");

inline uint16_t load_le16(const char* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}
inline uint32_t load_le32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}
inline uint64_t load_le64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}
inline void store_le16(char* p, uint16_t v) {
  std::memcpy(p, &v, 2);
}
inline void store_le32(char* p, uint32_t v) {
  std::memcpy(p, &v, 4);
}
inline void store_le64(char* p, uint64_t v) {
  std::memcpy(p, &v, 8);
}

inline uint16_t load_be16(const char* p) {
  return __builtin_bswap16(load_le16(p));
}
inline uint64_t load_be64(const char* p) {
  return __builtin_bswap64(load_le64(p));
}
inline void store_be16(char* p, uint16_t v) {
  store_le16(p, __builtin_bswap16(v));
}
inline void store_be64(char* p, uint64_t v) {
  store_le64(p, __builtin_bswap64(v));
}

inline void put_le32(std::string& out, uint32_t v) {
  char b[4];
  store_le32(b, v);
  out.append(b, 4);
}
inline void put_le64(std::string& out, uint64_t v) {
  char b[8];
  store_le64(b, v);
  out.append(b, 8);
}

// LEB128: seven bits a byte, lowest first, at most 10 bytes.
inline constexpr size_t kMaxVarintBytes = 10;

inline char* store_varint(char* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<char>(v);
  return p;
}

inline size_t varint_bytes(uint64_t v) {
  return (static_cast<size_t>(std::bit_width(v | 1)) + 6) / 7;
}

inline void put_varint(std::string& out, uint64_t v) {
  char b[kMaxVarintBytes];
  out.append(b, static_cast<size_t>(store_varint(b, v) - b));
}

// Returns the byte after the varint, or nullptr if it does not end before `end` or exceeds 64 bits.
inline const char* load_varint(const char* p, const char* end, uint64_t* v) {
  if (p < end && static_cast<uint8_t>(*p) < 0x80) [[likely]] {
    *v = static_cast<uint8_t>(*p);
    return p + 1;
  }
  uint64_t out = 0;
  for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
    const uint64_t byte = static_cast<uint8_t>(*p++);
    if (shift == 63 && byte > 1) return nullptr;
    out |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *v = out;
      return p;
    }
  }
  return nullptr;
}

// For bytes that were checked before: REQUIRES a whole varint of at most 64 bits at `p`.
inline const char* load_checked_varint(const char* p, uint64_t* v) {
  uint64_t out = static_cast<uint8_t>(*p++);
  if (out >= 0x80) [[unlikely]] {
    out &= 0x7f;
    for (unsigned shift = 7;; shift += 7) {
      const uint64_t byte = static_cast<uint8_t>(*p++);
      out |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  *v = out;
  return p;
}

// A length-prefixed byte string: varint length, then the bytes.
inline void put_bytes(std::string& out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out.append(bytes);
}

// A bounded reader over untrusted bytes. After any read that does not fit, ok() is false and all further
// reads give zeros; so a parser may read on and look once at the end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  // What was read makes no sense: ok() is false from here on.
  void reject() { fail(); }
  bool at_end() const { return p_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }

  uint64_t varint() {
    uint64_t v = 0;
    const char* next = ok_ ? load_varint(p_, end_, &v) : nullptr;
    if (next == nullptr) return fail();
    p_ = next;
    return v;
  }
  uint8_t u8() { return take(1) ? static_cast<uint8_t>(p_[-1]) : 0; }
  uint32_t le32() { return take(4) ? load_le32(p_ - 4) : 0; }
  uint64_t le64() { return take(8) ? load_le64(p_ - 8) : 0; }
  uint64_t be64() { return take(8) ? load_be64(p_ - 8) : 0; }
  uint16_t be16() { return take(2) ? load_be16(p_ - 2) : 0; }
  std::string_view raw(size_t n) { return take(n) ? std::string_view(p_ - n, n) : std::string_view(); }
  std::string_view bytes() {
    const uint64_t n = varint();
    return n <= remaining() ? raw(static_cast<size_t>(n)) : (fail(), std::string_view());
  }

 private:
  bool take(size_t n) {
    if (!ok_ || remaining() < n) {
      fail();
      return false;
    }
    p_ += n;
    return true;
  }
  uint64_t fail() {
    ok_ = false;
    p_ = end_;
    return 0;
  }

  const char* p_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace tidemark
