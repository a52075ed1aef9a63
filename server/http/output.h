// Bytes on their way into one gathered write.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::http {

struct Segment {
  const char* data;
  size_t size;
};

// What a loop gathers for one write: small pieces are copied into a buffer, large ones referenced. One per
// loop, used by one connection at a time.
class Output {
 public:
  static constexpr size_t kMaxSegments = 64;           // Asio takes no more at once
  static constexpr size_t kMaxPiece = (16 << 10) + 9;  // one HTTP/2 frame of the size that this server sends
  static constexpr size_t kCopyMax = 4 << 10;          // up to here a copy is cheaper than a reference
  static constexpr size_t kTargetBytes = 256 << 10;    // of one write

  Output() : buffer_(new char[kBufferBytes]) {}

  // If not, there is room for a frame of a header and a body, and one more frame to be copied. Else: write
  // first.
  bool full() const {
    return total_ >= kTargetBytes || count_ + 4 > kMaxSegments || used_ + 2 * kMaxPiece > kBufferBytes;
  }
  bool empty() const { return total_ == 0; }
  size_t total() const { return total_; }

  // REQUIRES: as full() tells.
  void copy(const void* data, size_t size) {
    char* const to = buffer_.get() + used_;
    std::memcpy(to, data, size);
    used_ += size;
    total_ += size;
    if (count_ > 0 && segments_[count_ - 1].data + segments_[count_ - 1].size == to) {
      segments_[count_ - 1].size += size;
    } else {
      segments_[count_++] = {to, size};
    }
  }
  // The bytes must stay until they are written.
  void reference(const char* data, size_t size) {
    segments_[count_++] = {data, size};
    total_ += size;
  }
  // Whichever is cheaper.
  void add(const char* data, size_t size) { size <= kCopyMax ? copy(data, size) : reference(data, size); }

  std::span<const Segment> segments() const { return {segments_.data(), count_}; }
  bool owns(const Segment& segment) const {
    return segment.data >= buffer_.get() && segment.data < buffer_.get() + kBufferBytes;
  }
  void clear() { count_ = used_ = total_ = 0; }

 private:
  static constexpr size_t kBufferBytes = 128 << 10;
  std::unique_ptr<char[]> buffer_;
  std::array<Segment, kMaxSegments> segments_;
  size_t count_ = 0;
  size_t used_ = 0;
  size_t total_ = 0;
};

// What one write left over, kept by its connection.
class Backlog {
 public:
  bool empty() const { return segments_.empty(); }
  std::span<const Segment> segments() const { return segments_; }

  // Takes over what is left of `output` after its first `written` bytes. REQUIRES: empty().
  void take(const Output& output, size_t written) {
    size_t copied = 0;
    for (const Segment& segment : output.segments()) copied += output.owns(segment) ? segment.size : 0;
    bytes_.clear();
    bytes_.reserve(copied);  // so that what is pointed to does not move
    for (const Segment& segment : output.segments()) {
      if (written >= segment.size) {
        written -= segment.size;
        continue;
      }
      Segment rest{segment.data + written, segment.size - written};
      written = 0;
      if (output.owns(segment)) {
        const size_t at = bytes_.size();
        bytes_.append(rest.data, rest.size);
        rest.data = bytes_.data() + at;
      }
      segments_.push_back(rest);
    }
  }
  void advance(size_t written) {
    size_t whole = 0;
    while (whole < segments_.size() && written >= segments_[whole].size) written -= segments_[whole++].size;
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(whole));
    if (written > 0) {
      segments_[0].data += written;
      segments_[0].size -= written;
    }
    if (segments_.empty()) std::string().swap(bytes_);
  }

 private:
  std::vector<Segment> segments_;
  std::string bytes_;
};

}  // namespace tidemark::http
